"""Ground-truth boxes, IoUs with them, and ranks of true classes, on arrays (Sec. 4.1).

Shape suffixes: N images, M ground-truth boxes, 4 = (x0, y0, x1, y1) in pixels of the original image.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.geometry.boxes import iou

__all__ = ["GroundTruth", "best_ious", "has_truth", "label_ranks", "list_lengths"]


def list_lengths(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Length of each list of a column; null is as good as empty."""
    return np.asarray(pc.fill_null(pc.list_value_length(column), 0), np.int64)


def has_truth(catalog: pa.Table) -> bool:
    """Whether any image came with a box, against which others can be scored."""
    return bool(list_lengths(catalog.column("gt_boxes")).any())


@dataclass(frozen=True)
class GroundTruth:
    """Boxes of N images, one image's after another's."""

    boxes_M4: NDArray[np.float64]
    counts_N: NDArray[np.int64]

    @classmethod
    def of(cls, images: pa.Table) -> Self:
        """The `gt_boxes` of rows of a catalog."""
        column = images.column("gt_boxes")
        corners = np.asarray(pc.list_flatten(pc.list_flatten(column)), np.float64)
        return cls(corners.reshape(-1, 4), list_lengths(column))

    @property
    def known_N(self) -> NDArray[np.bool_]:
        """Which images have a box."""
        return self.counts_N > 0


def best_ious(boxes_N4: NDArray[np.floating], truth: GroundTruth) -> NDArray[np.float64]:
    """IoU of each image's box with the best of its ground-truth boxes.

    Returns:
        Shape (N,): 0 where the box is NaN, NaN where there is no ground truth.
    """
    iou_M = iou(np.repeat(boxes_N4, truth.counts_N, axis=0), truth.boxes_M4)
    best_N = np.full(len(boxes_N4), np.nan)
    # reduceat takes an empty segment for the element at its start: images without boxes stay out.
    counts = truth.counts_N[truth.known_N]
    if len(counts):
        best_N[truth.known_N] = np.maximum.reduceat(iou_M, np.cumsum(counts) - counts)
    return best_N


def label_ranks(top_labels: pa.ChunkedArray, label_N: NDArray[np.integer]) -> NDArray[np.int64]:
    """Where each image's label stands in its `top_labels`: 0 is first, -1 is nowhere; an empty list holds none."""
    counts_N = list_lengths(top_labels)
    image_L = np.repeat(np.arange(len(label_N)), counts_N)
    rank_L = np.arange(len(image_L)) - np.repeat(np.cumsum(counts_N) - counts_N, counts_N)
    hit_L = np.asarray(pc.list_flatten(top_labels)) == label_N[image_L]
    rank_N = np.full(len(label_N), -1)
    # Backwards, so that of a label that is there twice the first place counts.
    rank_N[image_L[hit_L][::-1]] = rank_L[hit_L][::-1]
    return rank_N
