"""`metrics.json`: one run's figures, all fractions in [0, 1], all in coordinates of the original images."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.baselines import baselines
from psol_ray.evaluation.join import catalog_rows
from psol_ray.evaluation.metrics import GroundTruth, best_ious, gt_known, max_box_acc_v2, rate
from psol_ray.evaluation.scores import BoxScores, PredictionScores, of_split, score_boxes, score_predictions
from psol_ray.tables.schemas import UNREADABLE, boxes_array

__all__ = ["evaluate", "image_ious"]


def evaluate(catalog: pa.Table, boxes: pa.Table, predictions: pa.Table) -> dict[str, Any]:
    """The figures of `metrics.json` (Sec. 4.1), computed in float64.

    A box is right (GT-known) where its IoU with the best of the image's ground-truth boxes is at least 0.5;
    top-1 and top-5 localization also want the label among the first one or five. Box figures are over the
    images with ground-truth boxes, classification over all test images. An unreadable image counts
    everywhere, as wrong. Boxes are half-open, so IoUs differ a little from those of code that adds a pixel to
    each side.

    Args:
        catalog: `CATALOG`.
        boxes: `BOXES`, of all images of a split or of none.
        predictions: `PREDICTIONS`, of exactly the images of the test split, or of none.

    Returns:
        Fractions; None where one cannot be known. `images.unreadable` counts rows of `boxes`.

    Raises:
        UserError: a table does not fit the catalog, or holds impossible boxes or labels.
    """
    pseudo = score_boxes(catalog, boxes)
    predicted = score_predictions(catalog, predictions)
    test = of_split(catalog, "test")
    return {
        "images": {
            "train": len(of_split(catalog, "train")),
            "test": len(test),
            "unreadable": pc.sum(pc.equal(boxes.column("status"), UNREADABLE)).as_py() or 0,
        },
        "pseudo_boxes": {split: _box_figures(pseudo.of_split(split)) for split in ("train", "test")},
        "localization": _localization(predicted),
        "classification": {"top1": rate(predicted.top1_N), "top5": rate(predicted.top5_N)},
        "baselines": baselines(test),
        "coordinates": "original",
    }


def _box_figures(scores: BoxScores) -> dict[str, float | None]:
    iou_N = scores.iou_N[scores.known_N]
    return {"gt_known": rate(gt_known(iou_N)), "max_box_acc_v2": max_box_acc_v2(iou_N)}


def _localization(scores: PredictionScores) -> dict[str, float | None]:
    figures = _box_figures(scores)
    return {
        "gt_known": figures["gt_known"],
        "top1_loc": rate((scores.gt_known_N & scores.top1_N)[scores.known_N]),
        "top5_loc": rate((scores.gt_known_N & scores.top5_N)[scores.known_N]),
        "max_box_acc_v2": figures["max_box_acc_v2"],
    }


def image_ious(catalog: pa.Table, table: pa.Table) -> NDArray[np.float64]:
    """IoU of each row's box with the best ground-truth box of its image.

    Args:
        catalog: `CATALOG`.
        table: `BOXES` or `PREDICTIONS`, of any images of the catalog.

    Returns:
        Shape (rows,), in the table's order: NaN where the image has no ground truth, 0 where only the box is
        NaN.

    Raises:
        UserError: an image is not in the catalog, or twice in either table.
    """
    images = catalog.take(catalog_rows(catalog, table, "table"))
    return best_ious(boxes_array(table), GroundTruth.of(images))
