"""One image of the demo: one object at a random place, scale, angle and light over a random background."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from psol_ray.demo.cutouts import Cutout, cut_out
from psol_ray.demo.light import cast_shadow, random_camera, random_tone
from psol_ray.demo.outlines import OUTLINES
from psol_ray.demo.textures import random_background

__all__ = ["Composition", "compose"]

SHORT_SIDE = (280, 400)
LONGEST_ASPECT = 4 / 3
OBJECT_SHARE = (0.5, 0.9)
"""Of the image's width or height, whichever the object fills more."""
MAX_DEGREES = 12.0
BORDER = 1.0
"""Pixels between the object's soft edge and the image's."""


@dataclass(frozen=True)
class Composition:
    """An image and the truth about it."""

    rgb: NDArray[np.uint8]
    """(H, W, 3)."""
    alpha: NDArray[np.float32]
    """(H, W), how much of each pixel is the object's, 0 to 1."""
    box: tuple[int, int, int, int]
    """(x0, y0, x1, y1) of alpha > 0.5, half-open pixel coordinates."""


def compose(class_name: str, rng: np.random.Generator) -> Composition:
    """A random image of the class; all of its chance comes from `rng`."""
    height, width = _random_size(rng)
    outlines = OUTLINES[class_name]
    cutout = cut_out(outlines[rng.integers(len(outlines))])
    rgb, alpha = _place(cutout, height, width, rng)
    background = random_background(height, width, rng)
    if rng.random() < 0.5:
        background = cast_shadow(background, alpha, rng)
    lit = random_tone(rgb.astype(np.float32) / np.float32(255), rng, tint_strength=0.2 if cutout.is_grey else 0.06)
    mixed = background + (lit - background) * alpha[..., None]
    image = np.rint(random_camera(mixed, rng) * 255).astype(np.uint8)
    return Composition(image, alpha, _extent(alpha))


def _random_size(rng: np.random.Generator) -> tuple[int, int]:
    """(height, width), landscape or portrait alike."""
    short = int(rng.integers(SHORT_SIDE[0], SHORT_SIDE[1] + 1))
    long = int(short * rng.uniform(1, LONGEST_ASPECT))
    return (short, long) if rng.random() < 0.5 else (long, short)


def _place(
    cutout: Cutout, height: int, width: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The cut-out's colours and alpha on a canvas of (height, width): flipped, turned, scaled, moved."""
    angle = np.deg2rad(rng.uniform(-MAX_DEGREES, MAX_DEGREES))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        turn = turn @ np.diag([-1.0, 1.0])
    turned = cutout.hull @ turn.T
    extent = np.ptp(turned, axis=0)
    share = np.exp(rng.uniform(*np.log(OBJECT_SHARE)))
    scale = float(share / (extent / (width, height)).max())
    free = np.array([width, height]) - scale * extent - 2 * BORDER
    corner = BORDER + rng.random(2) * free
    shift = corner - scale * turned.min(axis=0)
    return _warp(cutout, scale, turn, shift, (width, height))


def _warp(
    cutout: Cutout, scale: float, turn: NDArray[np.float64], shift: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Samples the cut-out at `point -> scale * turn @ point + shift`."""
    # Shrinking by averaging first: a warp samples points, and would alias.
    first = min(scale, 1.0)
    rgb: MatLike = cutout.rgb
    alpha: MatLike = cutout.alpha
    if first < 1:
        rgb = cv2.resize(rgb, None, fx=first, fy=first, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(alpha, None, fx=first, fy=first, interpolation=cv2.INTER_AREA)
    # Pixel centres: a resize maps x to (x + 0.5) * first - 0.5.
    linear = turn * (scale / first)
    matrix = np.column_stack([linear, shift + scale * turn @ (0.5, 0.5) - linear @ (0.5, 0.5)])
    rgb = cv2.warpAffine(rgb, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR)
    if scale > 1:  # enlarged edges go soft; they are made as steep as they were
        alpha = (alpha - 0.5) * scale + 0.5
    return np.asarray(rgb, np.uint8), np.clip(alpha, 0, 1).astype(np.float32)


def _extent(alpha: NDArray[np.float32]) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect((alpha > 0.5).astype(np.uint8))
    return x, y, x + width, y + height
