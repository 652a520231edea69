"""Score boxes that have not seen the image: a method must be above these to have learned anything.

The search stretches every image to the unit square: IoU stays the same, and the overlaps along x and y of all
candidates can be had apart and multiplied. Shape suffixes: N images, M ground-truth boxes, K of one image, I and J
intervals along x and y, 2 = (start, end), 4 = (x0, y0, x1, y1).
"""

from functools import reduce
from itertools import combinations, product
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.evaluation.ground_truth import GroundTruth, best_ious
from psol_ray.evaluation.scoring import ScoringProtocol

__all__ = ["baselines", "best_constant_box", "whole_image_score"]

_WHOLE = np.array([0.0, 0.0, 1.0, 1.0])
_UNITS = 100  # the search is in hundredths of the image
_COARSE = 10  # all boxes on this grid are tried; then the best is moved in these ever smaller steps
_STEPS = (5, 2, 1)
_IMAGES_AT_ONCE = 256  # keeps what is compared at once in the processor's cache


def baselines(images: pa.Table, protocol: ScoringProtocol | None = None) -> dict[str, Any]:
    """Score the whole image (GT-known) and the best box that is the same fractions of every image.

    Args:
        images: rows of a catalog; those without ground truth do not count.
        protocol: null is the field's standard; of a crop, the boxes are fractions.

    Returns:
        `whole_image`, `constant_box`, and `constant_box_xyxy`, the latter's box; None where there is no ground truth.
    """
    box_4, constant = best_constant_box(images, protocol)
    return {
        "whole_image": whole_image_score(images, protocol),
        "constant_box": constant,
        "constant_box_xyxy": None if box_4 is None else box_4.tolist(),
    }


def whole_image_score(images: pa.Table, protocol: ScoringProtocol | None = None) -> float | None:
    """Score the whole image, or crop, by GT-known accuracy; None where no image has ground truth."""
    return _score(images, _WHOLE, protocol or ScoringProtocol())


def best_constant_box(
    images: pa.Table, protocol: ScoringProtocol | None = None
) -> tuple[NDArray[np.float64] | None, float | None]:
    """Search the best box that is the same fractions of every image, by its GT-known accuracy on all of them.

    It is chosen on the images that it is scored on, and so above any constant box chosen elsewhere. Every box on a
    grid of 0.1 is tried, then the best of them and the median ground-truth box are moved uphill in steps down to 0.01.
    The same images give the same box. A better one may exist.

    Returns:
        `(x0, y0, x1, y1)` as fractions of the image, or of the crop, and the accuracy; both None where there is no
        ground truth.
    """
    protocol = protocol or ScoringProtocol()
    truth = protocol.truth(images)
    known = GroundTruth(truth.boxes_M4, truth.counts_N[truth.known_N])
    if not len(known.counts_N):
        return None, None
    candidates = [_climb(start_4, known) for start_4 in (_best_on_grid(known), _median_box(known))]
    box_4 = max(candidates, key=lambda box_and_hits: box_and_hits[1])[0] / _UNITS
    return box_4, _score(images, box_4, protocol)


def _score(images: pa.Table, fractions_4: NDArray[np.float64], protocol: ScoringProtocol) -> float | None:
    truth = protocol.truth(images)
    right_N = protocol.right(best_ious(np.tile(fractions_4, (len(images), 1)), truth))
    # An image without a size has no box in fractions, and counts as wrong.
    counted_N = right_N[GroundTruth.of(images).known_N]
    return float(counted_N.mean()) if len(counted_N) else None


def _best_on_grid(truth: GroundTruth) -> NDArray[np.int64]:
    intervals_I2 = np.array(list(combinations(range(0, _UNITS + 1, _COARSE), 2)))
    return _best_of(intervals_I2, intervals_I2, truth)[0]


def _median_box(truth: GroundTruth) -> NDArray[np.int64]:
    """Finds objects too small for the grid."""
    median_4 = np.rint(np.median(truth.boxes_M4, axis=0) * _UNITS).astype(np.int64)
    starts_2 = np.clip(median_4[:2], 0, _UNITS - 1)
    return np.concatenate([starts_2, np.clip(median_4[2:], starts_2 + 1, _UNITS)])


def _climb(box_4: NDArray[np.int64], truth: GroundTruth) -> tuple[NDArray[np.int64], int]:
    """Move to the best neighbour until none is better, with each step in turn."""
    best_hits = -1
    for step in _STEPS:
        while True:
            neighbour_4, hits = _best_of(_moved(box_4[0::2], step), _moved(box_4[1::2], step), truth)
            if hits <= best_hits:
                break
            box_4, best_hits = neighbour_4, hits
    return box_4, best_hits


def _moved(interval_2: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """An interval with each end where it is, a step before and a step after: those that have a length."""
    moves_92 = np.array(list(product((0, -step, step), repeat=2)))
    intervals_I2 = np.clip(interval_2 + moves_92, 0, _UNITS)
    return intervals_I2[intervals_I2[:, 0] < intervals_I2[:, 1]]


def _best_of(xs_I2: NDArray[np.int64], ys_J2: NDArray[np.int64], truth: GroundTruth) -> tuple[NDArray[np.int64], int]:
    """The first best of all boxes made of an interval of each axis, and how many images it is right on."""
    hits_IJ = _hits(xs_I2 / _UNITS, ys_J2 / _UNITS, truth)
    i, j = np.unravel_index(hits_IJ.argmax(), hits_IJ.shape)
    (x0, x1), (y0, y1) = xs_I2[i], ys_J2[j]
    return np.array([x0, y0, x1, y1]), int(hits_IJ[i, j])


def _hits(xs_I2: NDArray[np.float64], ys_J2: NDArray[np.float64], truth: GroundTruth) -> NDArray[np.int64]:
    """On how many images each box is right, in single precision: good enough to choose by, not to report.

    Every image has a ground-truth box.
    """
    hits_IJ = np.zeros((len(xs_I2), len(ys_J2)), np.int64)
    area_IJ = np.outer(xs_I2[:, 1] - xs_I2[:, 0], ys_J2[:, 1] - ys_J2[:, 0]).astype(np.float32)
    first_N = np.cumsum(truth.counts_N) - truth.counts_N
    # Images of as many boxes together: their first boxes are compared at once, then their second ones, and so on.
    for count in np.unique(truth.counts_N):
        rows_NK = first_N[truth.counts_N == count][:, None] + np.arange(count)
        gt_NK4 = truth.boxes_M4[rows_NK].astype(np.float32)
        for start in range(0, len(gt_NK4), _IMAGES_AT_ONCE):
            gt_KN4 = gt_NK4[start : start + _IMAGES_AT_ONCE].swapaxes(0, 1)
            rights = (_right(gt_N4, xs_I2, ys_J2, area_IJ) for gt_N4 in gt_KN4)
            hits_IJ += reduce(np.logical_or, rights).sum(axis=0)
    return hits_IJ


def _right(
    gt_N4: NDArray[np.float32], xs_I2: NDArray[np.float64], ys_J2: NDArray[np.float64], area_IJ: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Whether each box has an IoU of a half with a ground-truth box an image, shape (N, I, J)."""
    over_NI, over_NJ = _overlaps(gt_N4[:, 0::2], xs_I2), _overlaps(gt_N4[:, 1::2], ys_J2)
    area_N = (gt_N4[:, 2] - gt_N4[:, 0]) * (gt_N4[:, 3] - gt_N4[:, 1])
    # IoU >= 1/2 is 3 intersections >= both areas, which needs no division.
    return 3 * over_NI[:, :, None] * over_NJ[:, None, :] - area_IJ >= area_N[:, None, None]


def _overlaps(spans_N2: NDArray[np.float32], intervals_I2: NDArray[np.float64]) -> NDArray[np.float32]:
    """Length of the overlap of each ground-truth span with each interval, shape (N, I)."""
    starts_I, ends_I = intervals_I2.astype(np.float32).T
    lengths_NI = np.minimum(spans_N2[:, 1:], ends_I) - np.maximum(spans_N2[:, :1], starts_I)
    return np.maximum(lengths_NI, np.float32(0))
