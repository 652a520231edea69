"""Boxes of a score map's contours, as wsolevaluation draws them (Choe et al., CVPR 2020, Sec. 4)."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["ContourBoxes", "contour_boxes", "grey_levels"]


class ContourBoxes(NamedTuple):
    """Extents of the contours of what is above a threshold, those of holes too.

    `boxes_B4` is `(x0, y0, x1, y1)` in cells of the map, shape (0, 4) where nothing is above it; `largest` is the row
    of the contour that encloses most.
    """

    boxes_B4: NDArray[np.float64]
    largest: int


def grey_levels(map_hw: NDArray[np.generic]) -> NDArray[np.uint8]:
    """A map stretched to its range and rounded down to 256 levels; of one value it is 255 where that is above zero.

    Args:
        map_hw: finite, of any size.
    """
    # In float64: in float32 the highest can come out above 1, and 256 is 0 in a byte.
    scores_hw = map_hw.astype(np.float64)
    lowest, highest = scores_hw.min(), scores_hw.max()
    unit_hw = (scores_hw - lowest) / (highest - lowest) if highest > lowest else (scores_hw > 0).astype(np.float64)
    return (unit_hw * 255).astype(np.uint8)


def contour_boxes(levels_hw: NDArray[np.uint8], threshold: float) -> ContourBoxes:
    """The boxes at one threshold.

    Args:
        levels_hw: from `grey_levels`.
        threshold: share of the highest level above which is object.
    """
    object_hw = (levels_hw > int(threshold * int(levels_hw.max()))).astype(np.uint8)
    contours, _ = cv2.findContours(object_hw, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    xywh_B4 = np.array([cv2.boundingRect(contour) for contour in contours], np.float64).reshape(-1, 4)
    areas = [cv2.contourArea(contour) for contour in contours]
    boxes_B4 = np.concatenate([xywh_B4[:, :2], xywh_B4[:, :2] + xywh_B4[:, 2:]], axis=1)
    return ContourBoxes(boxes_B4, int(np.argmax(areas)) if areas else 0)
