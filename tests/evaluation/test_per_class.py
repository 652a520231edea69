"""Figures of each class."""

from psol_ray.evaluation import per_class

from .tables import NAN_BOX, box_row, boxes_of, catalog_of, image, prediction, predictions_of

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
    assert per_class(CATALOG, boxes, PREDICTIONS) == [
        {"class_name": "cat", "images": 3, "pseudo_gt_known": 0.5, "gt_known": 1.0, "top1_loc": 0.5},
        {"class_name": "owl", "images": 1, "pseudo_gt_known": None, "gt_known": None, "top1_loc": None},
        {"class_name": "dog", "images": 1, "pseudo_gt_known": 1.0, "gt_known": 0.0, "top1_loc": 0.0},
    ]


def test_without_boxes_of_test_images() -> None:
    boxes = boxes_of(box_row("elk", SQUARE, label=3))
    assert [row["pseudo_gt_known"] for row in per_class(CATALOG, boxes, PREDICTIONS)] == [None] * 3


def test_without_images() -> None:
    assert per_class(catalog_of(), boxes_of(), predictions_of()) == []
