"""Crops: random ones for training, from a seed so that every decoder and every rerun sees the same, and central ones.

A region is `(x0, y0, x1, y1)` in whole pixels of the stored image. Shape suffixes: N images, M of them, D draws of each
and T of all.
"""

import numpy as np
from numpy.typing import NDArray

from psol_ray.geometry.boxes import area, xyxy_to_fractions

__all__ = ["PAPER_CROP_SHARE", "boxes_in_crops", "clip_to_center", "draw_crops"]

PAPER_CROP_SHARE = 224 / 256
"""Side of the centre crop in which the paper's networks but Inception V3 are evaluated, as a share of the image's."""

_RATIOS = (3 / 4, 4 / 3)
# Thirty in all, as in the authors' code. Of each round the first good one counts, as if drawn one after the other; few
# images need the later rounds, and to NumPy many numbers cost hardly more than few.
_DRAWS = (2, 4, 8, 16)


def draw_crops(
    rng: np.random.Generator,
    sizes_N2: NDArray[np.integer],
    min_area: float,
    boxes_N4: NDArray[np.floating] | None = None,
) -> NDArray[np.int64]:
    """Crops of random area and aspect ratio, each redrawn until it meets its box (authors' code): shape (N, 4).

    Args:
        rng: source of randomness; what it gives depends on all N images together.
        sizes_N2: (width, height) of each image, in pixels.
        min_area: smallest share of an image's area; the largest is 1.
        boxes_N4: what each crop must overlap, or None. After 30 vain draws the whole image is taken.
    """
    regions_N4 = np.concatenate([np.zeros_like(sizes_N2), sizes_N2], axis=1).astype(np.int64)
    rows_M = np.arange(len(sizes_N2))  # still to be drawn
    for num_draws in _DRAWS:
        if not len(rows_M):
            break
        tried_T = np.repeat(rows_M, num_draws)
        drawn_T4 = _draw(rng, sizes_N2[tried_T], min_area)
        good_T = ((drawn_T4[:, :2] < drawn_T4[:, 2:]) & (drawn_T4[:, 2:] <= sizes_N2[tried_T])).all(axis=1)
        if boxes_N4 is not None:
            good_T &= area(_clip(boxes_N4[tried_T], drawn_T4)) > 0
        good_MD = good_T.reshape(-1, num_draws)
        found_M, firsts_M = good_MD.any(axis=1), good_MD.argmax(axis=1)
        regions_N4[rows_M[found_M]] = drawn_T4.reshape(-1, num_draws, 4)[found_M, firsts_M[found_M]]
        rows_M = rows_M[~found_M]
    return regions_N4


def _draw(rng: np.random.Generator, sizes_N2: NDArray[np.integer], min_area: float) -> NDArray[np.int64]:
    """A crop for each image, which may be larger than that."""
    share_N = rng.uniform(min_area, 1, len(sizes_N2))
    lowest, highest = np.log(_RATIOS)
    log_ratio_N = rng.uniform(lowest, highest, len(sizes_N2))
    ratios_N2 = np.exp(np.stack([log_ratio_N, -log_ratio_N], axis=1))
    sides_N2 = np.rint(np.sqrt((share_N * sizes_N2.prod(axis=1))[:, None] * ratios_N2)).astype(np.int64)
    corners_N2 = rng.integers(0, np.maximum(sizes_N2 - sides_N2, 0), endpoint=True)
    return np.concatenate([corners_N2, corners_N2 + sides_N2], axis=1)


def boxes_in_crops(
    boxes_N4: NDArray[np.floating], regions_N4: NDArray[np.integer], flips_N: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The parts of boxes inside their crops, as `(x, y, w, h)` fractions of the crops, some of them mirrored."""
    corners_N2 = regions_N4[:, :2]
    inside_N4 = _clip(boxes_N4, regions_N4) - np.tile(corners_N2, 2)
    fractions_N4 = np.asarray(xyxy_to_fractions(inside_N4, *(regions_N4[:, 2:] - corners_N2).T), np.float64)
    mirrored_N = 1 - fractions_N4[:, 0] - fractions_N4[:, 2]
    fractions_N4[:, 0] = np.where(flips_N, mirrored_N, fractions_N4[:, 0])
    return fractions_N4


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


def _clip(boxes_N4: NDArray[np.floating], regions_N4: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.clip(np.asarray(boxes_N4, np.float64), np.tile(regions_N4[:, :2], 2), np.tile(regions_N4[:, 2:], 2))
