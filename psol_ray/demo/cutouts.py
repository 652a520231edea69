"""Objects cut out of their photographs: colours, and an alpha with an edge one or two pixels soft."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from psol_ray.demo.outlines import Outline, Polygon
from psol_ray.demo.sources import load_disparity, load_photo

__all__ = ["Cutout", "cut_out"]

Photo = MatLike
"""uint8 (H, W, 3), RGB."""
Mask = MatLike
"""uint8 (H, W), 0 or 1."""

MAX_SIDE = 512
"""Pixels. An image of the demo never shows an object larger; the retina is photographed at 1411."""

GRABCUT_ROUNDS = 3


@dataclass(frozen=True)
class Cutout:
    """One object, free of its background."""

    rgb: NDArray[np.uint8]
    """(H, W, 3). Outside the object, the colour of its nearest pixel: no halo, however it is resampled."""
    alpha: NDArray[np.float32]
    """(H, W), 0 to 1, zero along the border."""
    hull: NDArray[np.float32]
    """(N, 2), convex, in (x, y) pixels, around the soft edge: the extent under any rotation, cheaply."""
    is_grey: bool


@cache
def cut_out(outline: Outline) -> Cutout:
    """Cuts the object out of its photograph; the same for each call and each process."""
    margin = outline.band + 4
    photo = _pad(load_photo(outline.photo), margin)
    photo, mask = _crop(photo, _pad(_refined_mask(outline), margin, 0), margin)
    core = cv2.erode(mask, _disc(2))
    rgb = _spread_colours(photo, core)
    # The outermost pixels mix with the old background, so the edge goes one pixel inwards.
    alpha: MatLike = cv2.GaussianBlur(cv2.erode(mask, _disc(1)).astype(np.float32), (0, 0), 1.0)
    scale = MAX_SIDE / max(alpha.shape)
    if scale < 1:
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(alpha, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    points = cv2.findNonZero((alpha > 0.05).astype(np.uint8))
    hull = cv2.convexHull(points).reshape(-1, 2).astype(np.float32)
    return Cutout(np.asarray(rgb, np.uint8), np.asarray(alpha, np.float32), hull, outline.is_grey)


def _refined_mask(outline: Outline) -> Mask:
    """The object's mask, of the photograph's size: one piece, less its holes and what the clip cuts off."""
    photo = load_photo(outline.photo)
    inside = _fill(outline.polygon, photo.shape[:2])
    mask = REFINERS[outline.refine](photo, inside, outline.band)
    if outline.clip is not None:
        x0, y0, x1, y1 = outline.clip
        clipped = np.zeros_like(mask)
        clipped[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
        mask = clipped
    mask = _largest_piece(mask)
    for hole in outline.holes:
        mask[_fill(hole, photo.shape[:2]) > 0] = 0
    return mask


def _refine_grabcut(photo: Photo, inside: Mask, band: int) -> Mask:
    """GrabCut decides in a band about the polygon's sides; beyond it the polygon is taken at its word."""
    sure = cv2.erode(inside, _disc(band), borderValue=1)
    maybe = cv2.dilate(inside, _disc(band))
    trimap = np.where(inside > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[sure > 0] = cv2.GC_FGD
    trimap[maybe == 0] = cv2.GC_BGD
    # Far background teaches GrabCut nothing about this edge, and costs most of its time.
    x, y, width, height = cv2.boundingRect(maybe)
    reach = 3 * band
    window = np.s_[max(0, y - reach) : y + height + reach, max(0, x - reach) : x + width + reach]
    cv2.setRNGSeed(0)  # GrabCut seeds its colour clusters from OpenCV's generator
    view = np.ascontiguousarray(trimap[window])
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))  # its colour models, of no use here
    colours = np.ascontiguousarray(photo[window])
    no_box = (0, 0, 0, 0)
    cv2.grabCut(colours, view, no_box, background, foreground, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    trimap[window] = view
    mask = ((trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)).astype(np.uint8)
    return cv2.medianBlur(mask, 5)  # GrabCut's edges are ragged


def _refine_disparity(photo: Photo, inside: Mask, _band: int) -> Mask:
    """What stands out from the garage's floor and wall in the stereo pair's disparity."""
    rows = np.arange(photo.shape[0], dtype=np.float32)[:, None]
    floor = 22 + 0.175 * np.maximum(rows - 300, 0)  # measured beside the wheels, pixels of disparity
    near: Mask = (load_disparity() > floor + 2).astype(np.uint8)
    near = cv2.morphologyEx(near, cv2.MORPH_CLOSE, _disc(2))  # occluded pixels have no disparity
    # Where the tyres and the stand touch the floor there is no step: the polygon alone decides.
    near[395:, :500] = 1
    near[440:] = 1
    return near * inside


def _refine_none(_photo: Photo, inside: Mask, _band: int) -> Mask:
    return inside


REFINERS: dict[str, Callable[[Photo, Mask, int], Mask]] = {
    "grabcut": _refine_grabcut,
    "disparity": _refine_disparity,
    "none": _refine_none,
}


def _fill(polygon: Polygon, shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, np.uint8)
    return cv2.fillPoly(mask, [np.round(np.array(polygon)).astype(np.int32)], 1)


def _disc(radius: int) -> Mask:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _largest_piece(mask: Mask) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return (labels == largest).astype(np.uint8)


def _pad(array: MatLike, margin: int, value: int | None = None) -> MatLike:
    """Room for a soft edge where the object is cut by its photograph's border."""
    border = cv2.BORDER_REPLICATE if value is None else cv2.BORDER_CONSTANT
    return cv2.copyMakeBorder(array, margin, margin, margin, margin, border, value=value or 0)


def _crop(photo: Photo, mask: Mask, margin: int) -> tuple[Photo, Mask]:
    x, y, width, height = cv2.boundingRect(mask)
    window = np.s_[y - margin : y + height + margin, x - margin : x + width + margin]
    return photo[window], mask[window]


def _spread_colours(photo: Photo, core: Mask) -> Photo:
    """The photograph inside `core`; elsewhere the colour of the nearest pixel of `core`."""
    _, labels = cv2.distanceTransformWithLabels(1 - core, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    colour_of_label = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    colour_of_label[labels[core > 0]] = photo[core > 0]
    return colour_of_label[labels]
