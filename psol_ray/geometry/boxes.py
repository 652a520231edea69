"""Box arithmetic: the only place that converts between box formats.

Shape suffixes: N boxes or images, M ground-truth boxes, 4 = (x0, y0, x1, y1) unless said otherwise.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["area", "fractions_to_xyxy", "iou", "scale", "xyxy_to_fractions"]

Floats = NDArray[np.floating]


def area(boxes_N4: Floats) -> Floats:
    """Area of each box; a box that is inside out has none."""
    width_N = np.clip(boxes_N4[..., 2] - boxes_N4[..., 0], 0, None)
    height_N = np.clip(boxes_N4[..., 3] - boxes_N4[..., 1], 0, None)
    return width_N * height_N


def iou(a_N4: Floats, b_N4: Floats) -> Floats:
    """Intersection over union of `a` and `b`, broadcast over the leading axes.

    Two boxes without area have an IoU of 0, not NaN.
    """
    a, b = np.asarray(a_N4, np.float64), np.asarray(b_N4, np.float64)
    overlap = np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], axis=-1)
    intersection = area(overlap)
    union = area(a) + area(b) - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def scale(boxes_N4: Floats, factor_x: float | Floats, factor_y: float | Floats) -> Floats:
    """Boxes in an image that was resized by these factors."""
    fx, fy = np.asarray(factor_x, np.float64), np.asarray(factor_y, np.float64)
    return np.asarray(boxes_N4, np.float64) * np.stack(np.broadcast_arrays(fx, fy, fx, fy), axis=-1)


def xyxy_to_fractions(boxes_N4: Floats, width: float | Floats, height: float | Floats) -> Floats:
    """The regressor's target: `(x, y, w, h)`, top-left corner and size as fractions of the input (Sec. 3.2.2)."""
    unit_N4 = scale(boxes_N4, 1 / np.asarray(width, np.float64), 1 / np.asarray(height, np.float64))
    return np.concatenate([unit_N4[..., :2], unit_N4[..., 2:] - unit_N4[..., :2]], axis=-1)


def fractions_to_xyxy(fractions_N4: Floats, width: float | Floats, height: float | Floats) -> Floats:
    """Inverse of `xyxy_to_fractions`, clipped to the image."""
    unit = np.asarray(fractions_N4, np.float64)
    corners_N4 = np.concatenate([unit[..., :2], unit[..., :2] + unit[..., 2:]], axis=-1)
    return scale(np.clip(corners_N4, 0, 1), width, height)
