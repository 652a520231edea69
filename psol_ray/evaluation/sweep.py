"""Boxes of score maps at every threshold, and how good the best one is (Choe et al., CVPR 2020, Sec. 4).

As wsolevaluation does it: a map is resized to 224 x 224 (bicubic), stretched to [0, 1] and rounded down to 256 levels;
of what is above the threshold, contours are found, those of holes too, and a box is a contour's extent. MaxBoxAcc takes
the contour of the largest area, MaxBoxAccV2 whichever fits best. Apart from it, boxes are half-open (it cuts a pixel
off at the right and lower border and adds one to every side), and compared in pixels of the original image.

Not imported by `psol_ray.evaluation`: nothing else there needs OpenCV.

Shape suffixes: N images, T thresholds, B boxes of an image at all thresholds, M its ground-truth boxes, F = A x T
columns, those of A rules after one another, R resamples, 22 = (low, high) of two metrics, 4 = (x0, y0, x1, y1).
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.evaluation.bootstrap import bootstrap
from psol_ray.evaluation.ground_truth import GroundTruth
from psol_ray.evaluation.join import catalog_rows, check_incomplete, of_split
from psol_ray.evaluation.scoring import ScoringProtocol
from psol_ray.geometry.boxes import iou, scale
from psol_ray.heatmaps.contours import contour_boxes, grey_levels
from psol_ray.tables.schemas import TEST

__all__ = ["THRESHOLDS", "sweep"]

THRESHOLDS = np.arange(101) / 100
_SIDE = 224
_V2_IOUS = (0.3, 0.5, 0.7)
# What an image without any contour has at a threshold.
_NO_BOX = (0, 0, 0, 0)


class _Contours(NamedTuple):
    """Boxes of a map as fractions of the image, threshold by threshold, at least one each.

    `first_T` is where each threshold's begin, `largest_T` which of them has the contour of the largest area.
    """

    boxes_B4: NDArray[np.float64]
    first_T: NDArray[np.intp]
    largest_T: NDArray[np.intp]


def sweep(catalog: pa.Table, maps: pa.Table) -> dict[str, Any]:
    """Accuracies of score maps' boxes at thresholds from 0 to 1, over the images with ground truth.

    An image that cannot be read counts, as wrong at every threshold.

    Args:
        catalog: `CATALOG`.
        maps: `MAPS`, of all images of the test split.

    Returns:
        `thresholds` and `gt_known`, lists of equal length: how often the box of the largest contour has an IoU of at
        least 0.5; `max_box_acc` and `best_threshold`, the highest of these and the first threshold that has it;
        `max_box_acc_v2`, the mean over IoUs of 0.3, 0.5 and 0.7 of the highest accuracy at each where any contour's
        box counts; `images`, how many have ground truth; `intervals`, the 95 % bootstrap's ends of `max_box_acc` and
        `max_box_acc_v2`, where each resample of the images takes its own best thresholds. Accuracies are None where
        there is no such image.

    Raises:
        UserError: the maps are not those of the catalog's test images.
    """
    rows_N = catalog_rows(catalog, maps, "maps")
    check_incomplete(of_split(catalog, TEST), maps, "maps of test")
    images = catalog.take(rows_N)
    truth = GroundTruth.of(images)
    num_images = int(truth.known_N.sum())
    if not num_images:
        nothing = dict.fromkeys(("max_box_acc", "best_threshold", "max_box_acc_v2"))
        return {
            "thresholds": THRESHOLDS.tolist(),
            "gt_known": [None] * len(THRESHOLDS),
            **nothing,
            "images": 0,
            "intervals": {"max_box_acc": None, "max_box_acc_v2": None},
        }
    largest_NT, best_NT = _ious(images, maps, truth)
    right = ScoringProtocol().right
    right_NF = np.concatenate([right(largest_NT), *(right(best_NT, least) for least in _V2_IOUS)], axis=1)
    gt_known_T = right_NF[:, : len(THRESHOLDS)].mean(axis=0)
    max_box_acc, max_box_acc_v2 = _highest(right_NF.mean(axis=0)[None])[0].tolist()
    interval_22 = bootstrap(right_NF, _highest)
    return {
        "thresholds": THRESHOLDS.tolist(),
        "gt_known": gt_known_T.tolist(),
        "max_box_acc": max_box_acc,
        "best_threshold": float(THRESHOLDS[gt_known_T.argmax()]),
        "max_box_acc_v2": max_box_acc_v2,
        "images": num_images,
        "intervals": {"max_box_acc": interval_22[:, 0].tolist(), "max_box_acc_v2": interval_22[:, 1].tolist()},
    }


def _highest(means_RF: NDArray[np.float64]) -> NDArray[np.float64]:
    """MaxBoxAcc and MaxBoxAccV2, shape (R, 2), of accuracies at each threshold: GT-known's, then those of V2's IoUs."""
    highest_RA = means_RF.reshape(len(means_RF), 1 + len(_V2_IOUS), -1).max(axis=2)
    return np.stack([highest_RA[:, 0], highest_RA[:, 1:].mean(axis=1)], axis=1)


def _ious(images: pa.Table, maps: pa.Table, truth: GroundTruth) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """IoU of the largest contour's box, and the best of all contours', of each image with ground truth: (N, T)."""
    known = np.flatnonzero(truth.known_N)
    largest_NT, best_NT = np.zeros((2, len(known), len(THRESHOLDS)))
    width_N, height_N = (images.column(name).to_numpy() for name in ("width", "height"))
    starts_N = np.cumsum(truth.counts_N) - truth.counts_N
    for row, index in enumerate(known):
        map_hw = _map_at(maps, int(index))
        if map_hw is None:
            continue
        contours = _find_contours(map_hw)
        gt_M4 = truth.boxes_M4[starts_N[index] : starts_N[index] + truth.counts_N[index]]
        boxes_B4 = scale(contours.boxes_B4, width_N[index], height_N[index])
        iou_B = iou(boxes_B4[:, None], gt_M4).max(axis=1)
        largest_NT[row] = iou_B[contours.largest_T]
        best_NT[row] = np.maximum.reduceat(iou_B, contours.first_T)
    return largest_NT, best_NT


def _map_at(maps: pa.Table, index: int) -> NDArray[np.float32] | None:
    """A row's map, or None where its image could not be read."""
    values = maps.column("values")[index].values
    if not len(values):
        return None
    shape = (maps.column("height")[index].as_py(), maps.column("width")[index].as_py())
    return values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(shape)


def _find_contours(map_hw: NDArray[np.float32]) -> _Contours:
    levels_HW = grey_levels(cv2.resize(map_hw, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC))
    boxes: list[NDArray[np.float64]] = []
    first, largest, count = [], [], 0
    for threshold in THRESHOLDS:
        contours = contour_boxes(levels_HW, threshold)
        first.append(count)
        largest.append(count + contours.largest)
        boxes.append(contours.boxes_B4 if len(contours.boxes_B4) else np.array([_NO_BOX], np.float64))
        count += len(boxes[-1])
    return _Contours(np.concatenate(boxes) / _SIDE, np.array(first), np.array(largest))
