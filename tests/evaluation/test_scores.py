"""The scores table: a row an image, whatever is known of it."""

import math

import numpy as np
import pyarrow as pa
import pytest
from synthetic.tables import NAN_BOX, box_row, boxes_of, catalog_of, image, prediction, predictions_of

from psol_ray.evaluation import Metrics, ScoringProtocol, score_images
from psol_ray.tables.schemas import SCORES

SQUARE, LEFT_HALF, LEFT_TENTH = (0, 0, 10, 10), (0, 0, 5, 10), (0, 0, 1, 10)


def by_image(scores: pa.Table, *columns: str) -> dict[str, tuple[object, ...]]:
    return {row["image_id"]: tuple(row[name] for name in columns) for row in scores.to_pylist()}


def test_a_row_an_image_training_images_first_then_by_label_and_name() -> None:
    catalog = catalog_of(
        image("d", label=1), image("c"), image("a"), image("z", split="train", label=1), image("b", split="train")
    )
    scores = score_images(catalog, boxes_of(), predictions_of())
    assert scores.schema == SCORES
    assert scores.column("image_id").to_pylist() == ["b", "z", "a", "c", "d"]


def test_every_box_is_compared_with_its_own_image_in_whatever_order_tables_come() -> None:
    catalog = catalog_of(
        image("a", [SQUARE]), image("b", [LEFT_HALF], split="train"), image("c"), image("d", [SQUARE, LEFT_TENTH])
    )
    boxes = boxes_of(*(box_row(name, NAN_BOX if name == "a" else SQUARE) for name in "dcba"))
    predictions = predictions_of(
        prediction("d", LEFT_TENTH), prediction("c", LEFT_HALF), prediction("a", LEFT_HALF, [0])
    )
    scores = score_images(catalog, boxes, predictions)
    found = by_image(scores, "has_gt_box", "pseudo_iou", "pseudo_right", "predicted_iou", "predicted_right")
    assert found == {
        "a": (True, 0.0, False, 0.5, True),
        "b": (True, 0.5, True, None, None),
        "c": (False, None, None, None, None),
        "d": (True, 1.0, True, 1.0, True),
    }


def test_an_image_is_readable_where_everybody_could_read_it() -> None:
    catalog = catalog_of(image("ok"), image("header", width=0), image("boxes"), image("prediction"))
    boxes = boxes_of(
        box_row("ok", SQUARE, status="no_foreground"),
        box_row("header", SQUARE),
        box_row("boxes", NAN_BOX),
        box_row("prediction", SQUARE),
    )
    rows = [prediction(name, SQUARE) for name in ("ok", "header", "boxes")]
    scores = score_images(catalog, boxes, predictions_of(*rows, prediction("prediction", NAN_BOX, [])))
    assert by_image(scores, "readable", "pseudo_status", "predicted_status") == {
        "ok": (True, "no_foreground", "ok"),
        "header": (False, "ok", "ok"),
        "boxes": (False, "unreadable", "ok"),
        "prediction": (False, "ok", "unreadable"),
    }
    alone = score_images(catalog, boxes_of(), predictions_of())
    assert by_image(alone, "readable", "pseudo_status", "predicted_status")["ok"] == (True, None, None)


def test_classes_are_ranked_and_named() -> None:
    catalog = catalog_of(*(image(name, label=7) for name in "abcd"), image("e", label=2), image("t", split="train"))
    predictions = predictions_of(
        prediction("a", SQUARE, [7, 2]),
        prediction("b", SQUARE, [2, 0, 1, 3, 4, 7]),
        prediction("c", NAN_BOX, []),
        prediction("d", SQUARE, [5]),
        prediction("e", SQUARE, [0, 2]),
    )
    scores = score_images(catalog, boxes_of(), predictions)
    assert by_image(scores, "predicted_class", "true_class_rank", "top1", "top5") == {
        "a": ("class_7", 0, True, True),
        "b": ("class_2", 5, False, False),
        "c": (None, None, False, False),
        "d": ("class 5", None, False, False),  # a number that no image of the catalog has
        "e": ("class_0", 1, False, True),
        "t": (None, None, None, None),
    }


def test_a_localizer_alone_says_nothing_of_classes() -> None:
    predictions = predictions_of(prediction("a", SQUARE, []))
    scores = score_images(catalog_of(image("a", [SQUARE])), boxes_of(), predictions)
    expected = {"a": (1.0, None, None, None, None)}
    assert by_image(scores, "predicted_iou", "predicted_class", "true_class_rank", "top1", "top5") == expected


@pytest.mark.parametrize("protocol", [ScoringProtocol(), ScoringProtocol(0.5, above=True)], ids=["original", "crop"])
def test_ious_of_whole_images_and_of_the_paper_s_crop_are_there_whatever_the_protocol(
    protocol: ScoringProtocol,
) -> None:
    """Ground truth of the left half of 256 pixels: 112 of the crop's 224, and 64 of 128 where half is left."""
    catalog = catalog_of(image("a", [(0, 0, 128, 256)], width=256, height=256))
    box = (0, 0, 160, 256)
    scores = score_images(
        catalog,
        boxes_of(box_row("a", box)),
        predictions_of(prediction("a", box)),
        protocol,
        paper_share=192 / 256,
    )
    row = scores.to_pylist()[0]
    original, crop, paper, own = 128 / 160, 64 / 96, 112 / 144, 96 / 128
    assert row["pseudo_iou"] == row["predicted_iou"] == pytest.approx(crop if protocol.above else original)
    assert row["pseudo_iou_original"] == row["predicted_iou_original"] == pytest.approx(original)
    assert (row["pseudo_iou_crop"], row["predicted_iou_crop"]) == (pytest.approx(paper), pytest.approx(own))


def test_the_protocol_decides_ties_and_what_lies_outside_the_crop() -> None:
    catalog = catalog_of(image("tie", [SQUARE]), image("outside", [LEFT_TENTH]))
    boxes = boxes_of(box_row("tie", LEFT_HALF), box_row("outside", LEFT_TENTH))
    columns = ("pseudo_right", "gt_outside_crop")
    for protocol, tie, outside in (
        (ScoringProtocol(), True, (True, False)),
        (ScoringProtocol(above=True), False, (True, False)),
        (ScoringProtocol(0.8), True, (False, True)),
        (ScoringProtocol(0.8, above=True), False, (False, True)),
    ):
        scores = score_images(catalog, boxes, predictions_of(), protocol)
        assert by_image(scores, *columns) == {"tie": (tie, False), "outside": outside}


def test_columns_of_right_boxes_are_what_metrics_count() -> None:
    """A query of the table gives what metrics.json says."""
    rng = np.random.default_rng(0)
    names = [f"{i:03}" for i in range(200)]
    # (x0, y0) and (x1, y1) of a ground-truth box and of a predicted one
    gt_N4, predicted_N4 = np.sort(rng.integers(0, 11, (2, 200, 2, 2)), axis=2).reshape(2, 200, 4).tolist()
    catalog = catalog_of(*(image(n, [gt_N4[i]] if i % 5 else [], label=i % 3) for i, n in enumerate(names)))
    rows = [prediction(n, predicted_N4[i], [i % 2, 2]) for i, n in enumerate(names)]
    scores = score_images(catalog, boxes_of(), predictions_of(*rows))
    test = Metrics.of(scores, "test")
    metrics = dict(zip(test.names, test.means(), strict=True))
    counted = [row for row in scores.to_pylist() if row["predicted_right"] is not None]
    assert len(counted) == 160
    assert metrics["localization.gt_known"] == np.mean([row["predicted_right"] for row in counted])
    assert metrics["localization.top5_loc"] == np.mean([row["predicted_right"] and row["top5"] for row in counted])
    assert metrics["classification.top1"] == np.mean(scores.column("top1").to_pylist())
    assert math.isnan(metrics["pseudo_boxes.test.gt_known"])
