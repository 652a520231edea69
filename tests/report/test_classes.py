"""The table of classes."""

from synthetic.tables import NAN_BOX, box_row, boxes_of, catalog_of, image, prediction, predictions_of

from psol_ray.evaluation import score_images
from psol_ray.report.classes import ClassRow, class_rows, class_tables

SQUARE, CORNER = (0, 0, 10, 10), (0, 0, 1, 1)
CATALOG = catalog_of(
    image("dog 1", [SQUARE], label=7, class_name="dog"),
    image("cat 1", [SQUARE], label=2, class_name="cat"),
    image("cat 2", [SQUARE], label=2, class_name="cat"),
    image("cat 3", label=2, class_name="cat"),
    image("owl", label=5, class_name="owl"),
    image("elk", [SQUARE], label=3, class_name="elk", split="train"),
)
PREDICTIONS = predictions_of(
    prediction("owl", SQUARE, [5]),
    prediction("cat 2", SQUARE, [2]),
    prediction("cat 1", SQUARE, [7, 2]),
    prediction("cat 3", SQUARE, [2]),
    prediction("dog 1", NAN_BOX, []),
)


def test_each_class_of_the_test_split_in_the_order_of_labels() -> None:
    labels = {"dog 1": 7, "cat 1": 2, "cat 2": 2, "cat 3": 2, "owl": 5, "elk": 3}
    found = {name: CORNER if name in ("cat 1", "elk") else SQUARE for name in labels}
    boxes = boxes_of(*(box_row(name, box, label=labels[name]) for name, box in found.items()))
    assert class_rows(score_images(CATALOG, boxes, PREDICTIONS)) == [
        ClassRow("cat", images=3, pseudo=0.5, localizer=1.0, top1_loc=0.5),
        ClassRow("owl", images=1, pseudo=None, localizer=None, top1_loc=None),
        ClassRow("dog", images=1, pseudo=1.0, localizer=0.0, top1_loc=0.0),
    ]


def test_without_boxes_of_test_images() -> None:
    boxes = boxes_of(box_row("elk", SQUARE, label=3))
    assert [row.pseudo for row in class_rows(score_images(CATALOG, boxes, PREDICTIONS))] == [None] * 3


def test_without_images() -> None:
    assert class_rows(score_images(catalog_of(), boxes_of(), predictions_of())) == []


def test_the_lowest_comes_first_and_a_class_without_a_score_is_left_out() -> None:
    (heading, rows), *others = class_tables(score_images(CATALOG, boxes_of(), PREDICTIONS)).items()
    assert (heading, [row.class_name for row in rows], others) == ("All classes", ["dog", "cat"], [])
