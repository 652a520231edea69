"""The metrics of a whole run: drawn by hand, and against a plain loop over images."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from synthetic.tables import NAN_BOX, box_row, boxes_of, catalog_of, image, prediction, predictions_of

from psol_ray.evaluation import ScoringProtocol, evaluate
from psol_ray.tables.schemas import BOXES, PREDICTIONS

from .wsol import read_wsol, whole_image_predictions

SQUARE, LEFT_HALF, LEFT_TENTH = (0, 0, 10, 10), (0, 0, 5, 10), (0, 0, 1, 10)
BOX_METRICS = ("gt_known", "max_box_acc", "max_box_acc_v2", "iou_30", "iou_70", "mean_iou")
LOC_METRICS = (*BOX_METRICS, "top1_loc", "top5_loc")
NOTHING = dict.fromkeys(BOX_METRICS)


def test_a_run_drawn_by_hand() -> None:
    catalog = catalog_of(
        image("train", split="train"),
        image("right", [SQUARE]),
        image("tie", [LEFT_HALF], label=1),
        image("wrong box", [LEFT_TENTH]),
        image("broken", [SQUARE], width=0, height=0),
        image("no truth"),
    )
    names = [("train", SQUARE), ("right", SQUARE), ("tie", LEFT_TENTH), ("wrong box", LEFT_TENTH)]
    rows = [box_row(name, box, label=int(name == "tie")) for name, box in names]
    boxes = boxes_of(*rows, box_row("broken", NAN_BOX), box_row("no truth", SQUARE))
    predictions = predictions_of(
        prediction("no truth", SQUARE, [1]),
        prediction("broken", NAN_BOX, []),
        prediction("wrong box", SQUARE, [0, 1]),
        prediction("tie", SQUARE, [0, 1]),
        prediction("right", SQUARE, [0]),
    )
    found = evaluate(catalog, boxes, predictions).metrics
    assert found["images"] == {"train": 1, "test": 5, "unreadable": 1, "without_truth": 1, "outside_crop": 0}
    assert found["pseudo_boxes"]["train"] == NOTHING
    pseudo = {"gt_known": 2 / 4, "max_box_acc": 2 / 4, "iou_30": 2 / 4, "iou_70": 2 / 4, "mean_iou": (1 + 0.2 + 1) / 4}
    assert found["pseudo_boxes"]["test"] == {**pseudo, "max_box_acc_v2": pytest.approx(2 / 4)}
    assert found["localization"] == {
        "gt_known": 2 / 4,
        "max_box_acc": 2 / 4,
        "max_box_acc_v2": pytest.approx((2 / 4 + 2 / 4 + 1 / 4) / 3),
        "iou_30": 2 / 4,
        "iou_70": 1 / 4,
        "mean_iou": pytest.approx((1 + 0.5 + 0.1) / 4),
        "top1_loc": 1 / 4,
        "top5_loc": 2 / 4,
    }
    assert found["classification"] == {"top1": 2 / 5, "top5": 3 / 5}
    # Class 0 has 1 of 3 right, class 1 its only one; class 0 has 4 images with a label to find, class 1 one.
    assert found["mean_of_classes"]["localization"]["gt_known"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["mean_of_classes"]["classification"] == {
        "top1": pytest.approx((2 / 4 + 0) / 2),
        "top5": (2 / 4 + 1) / 2,
    }
    assert (found["baselines"]["whole_image"], found["baselines"]["constant_box"]) == (2 / 4, 2 / 4)
    assert (found["coordinates"], found["crop_share"], found["iou_rule"]) == ("original", None, "at_least")
    assert json.loads(json.dumps(found)) == found


def test_images_that_count_otherwise_than_one_might_think_are_named() -> None:
    catalog = catalog_of(image("a", [SQUARE]), image("b"), image("c"), image("d", [(0, 0, 1, 10)]))
    predictions = predictions_of(*(prediction(name, SQUARE) for name in "abcd"))
    found = evaluate(catalog, boxes_of(), predictions, ScoringProtocol(crop_share=0.8))
    assert found.metrics["images"]["without_truth"] == 2
    assert found.metrics["images"]["outside_crop"] == 1
    assert found.remarks == [
        "2 images (b, c) of 4 in the test split without a ground-truth box: they count for classification alone",
        "1 image (d) of 4 in the test split with all ground-truth boxes outside the crop: they count, as wrong",
    ]
    assert found.metrics["localization"]["gt_known"] == 0.5
    assert evaluate(catalog.slice(0, 1), boxes_of(), predictions.slice(0, 1)).remarks == []


def test_a_row_a_class_with_its_intervals() -> None:
    catalog = catalog_of(*(image(f"{i}", [SQUARE], label=i % 2) for i in range(20)), image("t", split="train", label=2))
    rows = [prediction(f"{i}", SQUARE if i % 4 else LEFT_TENTH, [i % 2]) for i in range(20)]
    classes = evaluate(catalog, boxes_of(), predictions_of(*rows)).classes
    assert classes.column("class_name").to_pylist() == ["class_0", "class_1"]
    assert classes.column("images").to_pylist() == [10, 10]
    assert classes.column("localization.gt_known").to_pylist() == [0.5, 1.0]
    low, high = (classes.column(f"localization.gt_known.{end}").to_pylist() for end in ("low", "high"))
    assert 0.1 <= low[0] <= 0.3
    assert 0.7 <= high[0] <= 0.9
    assert (low[1], high[1]) == (1.0, 1.0)
    assert not [name for name in classes.column_names if name.startswith("pseudo")]  # nothing was scored there


def test_train_boxes_are_scored_where_they_can_be() -> None:
    catalog = catalog_of(image("a", [SQUARE], split="train"), image("b", [SQUARE], split="train"))
    boxes = boxes_of(box_row("b", LEFT_TENTH), box_row("a", SQUARE))
    found = evaluate(catalog, boxes, predictions_of()).metrics
    train = found["pseudo_boxes"]["train"]
    assert train == {**dict.fromkeys(BOX_METRICS, 0.5), "max_box_acc_v2": pytest.approx(0.5), "mean_iou": 0.55}
    assert found["pseudo_boxes"]["test"] == NOTHING


def test_nothing_at_all_is_not_known() -> None:
    found = evaluate(catalog_of(), boxes_of(), predictions_of()).metrics
    assert found["images"] == {"train": 0, "test": 0, "unreadable": 0, "without_truth": 0, "outside_crop": 0}
    figures = {
        "pseudo_boxes": {"test": NOTHING},
        "localization": dict.fromkeys(LOC_METRICS),
        "classification": {"top1": None, "top5": None},
    }
    with_train = {**figures, "pseudo_boxes": {"train": NOTHING, "test": NOTHING}}
    assert {name: found[name] for name in figures} == with_train
    assert found["mean_of_classes"] == figures
    assert found["intervals"] == {**with_train, "mean_of_classes": figures}
    assert set(found["baselines"].values()) == {None}


def test_a_localizer_alone_has_no_labels_to_score() -> None:
    catalog = catalog_of(image("a", [SQUARE]), image("broken", [SQUARE]))
    found = evaluate(
        catalog, boxes_of(), predictions_of(prediction("a", SQUARE, []), prediction("broken", NAN_BOX, []))
    )
    assert found.metrics["localization"]["gt_known"] == 0.5
    assert found.metrics["localization"]["top1_loc"] is None
    assert set(found.metrics["classification"].values()) == {None}


def test_pseudo_boxes_are_scored_before_anything_is_predicted() -> None:
    catalog, boxes = catalog_of(image("a", [SQUARE])), boxes_of(box_row("a", SQUARE))
    metrics = evaluate(catalog, boxes, predictions_of()).metrics
    assert metrics["pseudo_boxes"]["test"]["gt_known"] == 1.0
    assert set(metrics["localization"].values()) == set(metrics["classification"].values()) == {None}
    assert metrics["baselines"]["constant_box"] is not None


def test_classification_needs_no_boxes() -> None:
    catalog = catalog_of(image("a"), image("b", label=1))
    predictions = predictions_of(prediction("a", SQUARE, [0]), prediction("b", SQUARE, [0, 1]))
    found = evaluate(catalog, boxes_of(), predictions).metrics
    assert found["classification"] == {"top1": 0.5, "top5": 1.0}
    assert set(found["localization"].values()) == set(found["baselines"].values()) == {None}


def test_agrees_with_a_loop_over_images() -> None:
    rng = np.random.default_rng(5)
    catalog, boxes, predictions = _random_run(rng, num_images=400)
    found = evaluate(catalog, boxes, predictions).metrics
    slow = _loop(catalog, boxes, predictions)
    for section, figures in slow.items():
        assert {name: found[section][name] for name in figures} == pytest.approx(figures), section
    assert 0.05 < found["localization"]["top1_loc"] < found["localization"]["gt_known"] < 0.95


def test_the_order_of_rows_changes_nothing() -> None:
    rng = np.random.default_rng(6)
    tables = _random_run(rng, num_images=100)
    shuffled = [table.take(rng.permutation(len(table))) for table in tables]
    first, second = evaluate(*tables).metrics, evaluate(*shuffled).metrics
    for section in ("images", "localization", "classification"):
        assert first[section] == second[section]
    for split in ("train", "test"):
        assert first["pseudo_boxes"][split] == second["pseudo_boxes"][split]


def test_boxes_and_predictions_that_are_the_whole_image_score_alike(shared: Path) -> None:
    catalog = read_wsol(shared / "data/wsolevaluation_metadata/ILSVRC/test")
    predictions = whole_image_predictions(catalog)
    columns = {name: predictions.column(name) for name in ("image_id", "x0", "y0", "x1", "y1")}
    columns |= {name: catalog.column(name) for name in ("label", "width", "height")}
    columns |= {name: np.zeros(len(catalog), np.float32) for name in BOXES.names[9:]}
    columns["status"] = ["ok"] * len(catalog)
    boxes = pa.table(columns).select(BOXES.names).cast(BOXES)

    found = evaluate(catalog, boxes, predictions).metrics
    assert found["localization"]["gt_known"] == found["baselines"]["whole_image"]
    assert found["pseudo_boxes"]["test"]["gt_known"] == found["localization"]["top1_loc"]
    assert found["localization"]["top1_loc"] == found["localization"]["gt_known"]
    assert found["images"] == {"train": 0, "test": 50_000, "unreadable": 0, "without_truth": 0, "outside_crop": 0}


def _random_run(rng: np.random.Generator, num_images: int) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Boxes on a coarse grid, so that ties happen; a tenth unreadable; none to three GT boxes."""

    def random_box() -> list[float]:
        (x0, x1), (y0, y1) = np.sort(rng.integers(0, 6, (2, 2)) * 2, axis=1)
        return [float(x0), float(y0), float(x1), float(y1)]

    images, boxes, predictions = [], [], []
    for i in range(num_images):
        name, label = f"{i:04}", int(rng.integers(0, 4))
        split = "train" if i % 3 == 0 else "test"
        gt = [random_box() for _ in range(rng.integers(0, 4))]
        images.append(image(name, gt, label=label, split=split))
        readable = rng.random() > 0.1
        near = gt[0] if gt and rng.random() < 0.5 else random_box()
        boxes.append(box_row(name, near if readable else NAN_BOX, label=label))
        if split == "test":
            labels = dict.fromkeys([label, *rng.permutation(4)[:2]]) if rng.random() < 0.4 else rng.permutation(4)[:3]
            box = near if rng.random() < 0.7 else random_box()
            predictions.append(prediction(name, *((box, labels) if readable else (NAN_BOX, []))))
    order = rng.permutation(len(predictions))
    return catalog_of(*images), boxes_of(*boxes), predictions_of(*(predictions[i] for i in order))


def _loop(catalog: pa.Table, boxes: pa.Table, predictions: pa.Table) -> dict[str, Any]:
    """The metrics as a reader of the paper would write them down, one image after the other."""
    rows = {row["image_id"]: row for row in catalog.to_pylist()}
    found = [_judge(rows[p["image_id"]], p) for p in predictions.select(PREDICTIONS.names).to_pylist()]
    known = [judged for judged in found if judged["iou"] is not None]
    return {
        "localization": {
            "gt_known": _mean(j["iou"] >= 0.5 for j in known),
            "top1_loc": _mean(j["iou"] >= 0.5 and j["top1"] for j in known),
            "top5_loc": _mean(j["iou"] >= 0.5 and j["top5"] for j in known),
            "max_box_acc_v2": _mean(_mean(j["iou"] >= t for j in known) for t in (0.3, 0.5, 0.7)),
        },
        "classification": {key: _mean(j[key] for j in found) for key in ("top1", "top5")},
        "images": {
            "train": sum(row["split"] == "train" for row in rows.values()),
            "test": sum(row["split"] == "test" for row in rows.values()),
            "unreadable": sum(row["status"] == "unreadable" for row in boxes.to_pylist()),
        },
    }


def _judge(row: dict[str, Any], p: dict[str, Any]) -> dict[str, Any]:
    ious = [_slow_iou([p["x0"], p["y0"], p["x1"], p["y1"]], gt) for gt in row["gt_boxes"]]
    labels = p["top_labels"]
    return {
        "iou": max(ious) if ious else None,
        "top1": labels[:1] == [row["label"]],
        "top5": row["label"] in labels[:5],
    }


def _slow_iou(a: list[float], b: list[float]) -> float:
    if math.isnan(a[0]):
        return 0.0
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def _mean(values: Any) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
