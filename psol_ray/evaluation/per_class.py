"""Figures of each class, for the report."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.evaluation.metrics import gt_known
from psol_ray.evaluation.scores import BoxScores, of_split, score_boxes, score_predictions

__all__ = ["per_class"]


def per_class(catalog: pa.Table, boxes: pa.Table, predictions: pa.Table) -> list[dict[str, Any]]:
    """How each class of the test split fares, in the order of labels.

    Returns:
        For each class `class_name`, `images` (of the test split), `pseudo_gt_known` (of `boxes` on the test
        split), `gt_known` and `top1_loc` (of `predictions`): fractions of the images with ground truth, None
        where there are none.

    Raises:
        UserError: as `evaluate`.
    """
    pseudo = score_boxes(catalog, boxes).of_split("test")
    predicted = score_predictions(catalog, predictions)
    test = of_split(catalog, "test")
    label_N = test.column("label").to_numpy()
    labels_C, first_C, counts_C = np.unique(label_N, return_index=True, return_counts=True)
    right_N = predicted.gt_known_N
    columns = {
        "class_name": test.column("class_name").take(first_C).to_pylist(),
        "images": counts_C.tolist(),
        "pseudo_gt_known": _rates(labels_C, pseudo, gt_known(pseudo.iou_N)),
        "gt_known": _rates(labels_C, predicted, right_N),
        "top1_loc": _rates(labels_C, predicted, right_N & predicted.top1_N),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rates(labels_C: NDArray[np.integer], scores: BoxScores, right_N: NDArray[np.bool_]) -> list[float | None]:
    """The fraction that is right of each class's images with ground truth."""
    class_N = np.searchsorted(labels_C, scores.images.column("label").to_numpy())[scores.known_N]
    totals_C = np.bincount(class_N, minlength=len(labels_C))
    rights_C = np.bincount(class_N, weights=right_N[scores.known_N], minlength=len(labels_C))
    pairs = zip(rights_C.tolist(), totals_C.tolist(), strict=True)
    return [right / total if total else None for right, total in pairs]
