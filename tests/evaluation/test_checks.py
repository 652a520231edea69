"""Every way in which a table may not fit, and what the user is told."""

import re
from typing import Any

import pytest
from synthetic.tables import NAN_BOX, box_row, boxes_of, catalog_of, image, prediction, predictions_of

from psol_ray.errors import UserError
from psol_ray.evaluation import evaluate

SQUARE = (0, 0, 10, 10)
IMAGES = [image(name, [SQUARE], label=i % 2) for i, name in enumerate("abcde")]
CATALOG = catalog_of(*IMAGES, image("t", split="train"), image("u", split="train"))
BOXES = [box_row(name, SQUARE, label=i % 2) for i, name in enumerate("abcde")]
PREDICTIONS = [prediction(name, SQUARE) for name in "abcde"]


def changed(rows: list[dict[str, Any]], index: int, **fields: Any) -> list[dict[str, Any]]:
    return [{**row, **fields} if i == index else row for i, row in enumerate(rows)]


def refused(boxes: list[dict[str, Any]], predictions: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(UserError, match="^" + re.escape(message)):
        evaluate(CATALOG, boxes_of(*boxes), predictions_of(*predictions))


def test_the_tables_below_fit_before_they_are_changed() -> None:
    assert evaluate(CATALOG, boxes_of(*BOXES), predictions_of(*PREDICTIONS)).metrics["images"]["test"] == 5


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(PREDICTIONS[:4], " of test images: 1 image (e) of 5 missing", id="misses one"),
        pytest.param([*PREDICTIONS, PREDICTIONS[1]], ": 1 image (b) more than once", id="twice"),
        pytest.param([*PREDICTIONS, prediction("z", SQUARE)], ": 1 image (z) not in the catalog", id="unknown"),
        pytest.param([*PREDICTIONS, prediction("t", SQUARE)], ": 1 image (t) not of the test split", id="train"),
        pytest.param(changed(PREDICTIONS, 2, x0=11.0), ": 1 image (c) with a box that is inside out", id="x"),
        pytest.param(changed(PREDICTIONS, 2, y1=-1.0), ": 1 image (c) with a box that is inside out", id="y"),
        pytest.param(changed(PREDICTIONS, 0, x0=float("nan")), ": 1 image (a) readable, but", id="a NaN"),
        pytest.param(changed(PREDICTIONS, 0, x1=float("inf")), ": 1 image (a) readable, but", id="infinite"),
        pytest.param(changed(PREDICTIONS, 0, x1=None), ": 1 image (a) readable, but", id="null"),
        pytest.param(changed(PREDICTIONS, 0, top_labels=[]), ": 1 image (a) unreadable, and yet", id="no labels"),
        pytest.param(changed(PREDICTIONS, 3, top_labels=[0, 2]), ": 1 image (d) with labels outside 0 to 1", id="high"),
        pytest.param(
            changed(PREDICTIONS, 3, top_labels=[-1]),
            ": 1 image (d) with labels outside 0 to 1",
            id="negative",
        ),
        pytest.param(changed(PREDICTIONS, 3, top_labels=[None]), ": 1 image (d) with labels outside 0 to 1", id="null"),
        pytest.param(changed(PREDICTIONS, 3, top_labels=[1, 0, 1]), ": 1 image (d) with a label twice", id="twice"),
    ],
)
def test_predictions_that_do_not_fit(rows: list[dict[str, Any]], message: str) -> None:
    refused(BOXES, rows, f"predictions{message}")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(BOXES[1:3], " of test images: 3 images (a, d, e) of 5 missing", id="misses some"),
        pytest.param(
            [*BOXES, box_row("t", SQUARE)], " of train images: 1 image (u) of 2 missing", id="half of a split"
        ),
        pytest.param([*BOXES, *BOXES], ": 5 images (a, b, c and 2 more) more than once", id="twice"),
        pytest.param([*BOXES, box_row("z", SQUARE)], ": 1 image (z) not in the catalog", id="unknown"),
        pytest.param(changed(BOXES, 2, y0=10.5), ": 1 image (c) with a box that is inside out", id="inside out"),
        pytest.param([box_row("a", NAN_BOX, status="ok"), *BOXES[1:]], ": 1 image (a) readable, but", id="NaN"),
        pytest.param(changed(BOXES, 0, status="unreadable"), ": 1 image (a) unreadable, and yet", id="yet a box"),
        pytest.param(changed(BOXES, 0, label=1), ": 1 image (a) with another label", id="another label"),
    ],
)
def test_boxes_that_do_not_fit(rows: list[dict[str, Any]], message: str) -> None:
    refused(rows, PREDICTIONS, f"boxes{message}")


def test_tables_in_another_unit() -> None:
    fractions = (0.1, 0.2, 0.9, 0.8)
    complaint = (
        ": found 5 of 5 boxes smaller than a pixel, expected x0 y0 x1 y1 in pixels; they look like x0 y0 x1 y1 as"
    )
    refused([box_row(name, fractions, label=i % 2) for i, name in enumerate("abcde")], PREDICTIONS, f"boxes{complaint}")
    refused(BOXES, [prediction(name, fractions) for name in "abcde"], f"predictions{complaint}")
    catalog = catalog_of(*(image(name, [fractions]) for name in "abcde"))
    with pytest.raises(UserError, match=f"^ground truth of the catalog{complaint}.*: make the table again"):
        evaluate(catalog, boxes_of(), predictions_of(*PREDICTIONS))


@pytest.mark.parametrize("box", [(0, 0, float("nan"), 5), (0, 0, float("inf"), 5), (5, 0, 1, 5)], ids=str)
def test_a_catalog_with_an_impossible_ground_truth_box(box: tuple[float, ...]) -> None:
    catalog = catalog_of(image("a", [SQUARE]), image("b", [SQUARE, box]))
    with pytest.raises(
        UserError, match=re.escape("catalog: 1 image (b) with a ground-truth box that is not finite or inside")
    ):
        evaluate(catalog, boxes_of(), predictions_of())


def test_a_catalog_with_an_image_twice() -> None:
    catalog = catalog_of(*IMAGES, IMAGES[0])
    with pytest.raises(UserError, match=re.escape("catalog: 1 image (a) more than once")):
        evaluate(catalog, boxes_of(*BOXES), predictions_of())


@pytest.mark.parametrize("box", [(3, 3, 3, 8), (-5, -5, 20, 20)], ids=["no area", "over the border"])
def test_odd_boxes_that_are_boxes_all_the_same(box: tuple[float, ...]) -> None:
    rows = predictions_of(prediction("a", box), *PREDICTIONS[1:])
    assert evaluate(CATALOG, boxes_of(*BOXES), rows).metrics["localization"]["gt_known"] == 4 / 5
