"""Crops: random ones for training, from a seed so that every decoder and every rerun sees the same, and central ones.

A region is `(x0, y0, x1, y1)` in whole pixels of the stored image.
"""

import math

import numpy as np
from numpy.typing import NDArray

from psol_ray.geometry.boxes import area, xyxy_to_fractions

__all__ = ["PAPER_CROP_SHARE", "box_in_crop", "clip_to_center", "draw_crop"]

Region = tuple[int, int, int, int]

PAPER_CROP_SHARE = 224 / 256
"""Side of the centre crop in which the paper's networks but Inception V3 are evaluated, as a share of the image's."""

_RATIOS = (3 / 4, 4 / 3)
_MOST_DRAWS = 30


def draw_crop(
    rng: np.random.Generator,
    width: int,
    height: int,
    min_area: float,
    box: NDArray[np.floating] | None = None,
) -> Region:
    """A crop of random area and aspect ratio, redrawn until it meets the box (authors' code).

    Args:
        rng: source of randomness.
        width, height: of the image, in pixels.
        min_area: smallest share of the image's area; the largest is 1.
        box: what the crop must overlap, or None. After 30 vain draws the whole image is taken.
    """
    for _ in range(_MOST_DRAWS):
        share, log_ratio = rng.uniform(min_area, 1), rng.uniform(*np.log(_RATIOS))
        w = round(math.sqrt(share * width * height * math.exp(log_ratio)))
        h = round(math.sqrt(share * width * height / math.exp(log_ratio)))
        if not (0 < w <= width and 0 < h <= height):
            continue
        x0, y0 = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        region = (x0, y0, x0 + w, y0 + h)
        if box is None or area(_clip(box, region)) > 0:
            return region
    return 0, 0, width, height


def box_in_crop(box: NDArray[np.floating], region: Region, flip: bool) -> NDArray[np.float64]:
    """The part of the box that is inside the crop, as `(x, y, w, h)` fractions of the (mirrored) crop."""
    x0, y0, x1, y1 = region
    inside = _clip(box, region) - np.array([x0, y0, x0, y0])
    fractions = xyxy_to_fractions(inside, x1 - x0, y1 - y0).astype(np.float64)
    if flip:
        fractions[0] = 1 - fractions[0] - fractions[2]
    return fractions


def clip_to_center(boxes_N4: NDArray[np.floating], sizes_N2: NDArray[np.floating], share: float) -> NDArray[np.float64]:
    """The parts of boxes inside the middle of their images, as fractions of it: shape (N, 4), (x0, y0, x1, y1).

    Args:
        boxes_N4: (x0, y0, x1, y1) in pixels of the image.
        sizes_N2: (width, height) of each image; where it has none, the result has no area.
        share: of either side, in (0, 1].
    """
    sides_N2 = np.where(sizes_N2 > 0, sizes_N2, np.inf)
    fractions_N4 = np.asarray(boxes_N4, np.float64) / np.tile(sides_N2, 2)
    # Rounded, so that a box that ends where the crop begins has no area in floating point either.
    return np.clip(np.round((fractions_N4 - (1 - share) / 2) / share, 12), 0, 1)


def _clip(box: NDArray[np.floating], region: Region) -> NDArray[np.float64]:
    x0, y0, x1, y1 = region
    return np.clip(np.asarray(box, np.float64), [x0, y0, x0, y0], [x1, y1, x1, y1])
