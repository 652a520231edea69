"""Backgrounds: patches of photographs without any of the objects, one set for all classes.

So the object is the only thing that the images of a class have in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from psol_ray.demo.light import random_tint
from psol_ray.demo.sources import load_photo

__all__ = ["TEXTURES", "Texture", "random_background"]

MIN_CROP = 0.45
"""Of the largest crop of the wanted shape that the patch holds: smaller ones would be a blur."""

GAIN = (0.6, 1.25)


@dataclass(frozen=True)
class Texture:
    """One rectangle of one photograph."""

    photo: str
    patch: tuple[int, int, int, int] | None = None
    """(x0, y0, x1, y1) in source pixels; None is the whole photograph."""
    is_grey: bool = False


TEXTURES: tuple[Texture, ...] = (
    Texture("brick.png", is_grey=True),
    Texture("grass.png", is_grey=True),
    Texture("gravel.png", is_grey=True),
    Texture("moon.png", is_grey=True),
    Texture("page.png", is_grey=True),
    Texture("text.png", is_grey=True),
    Texture("camera.png", (410, 240, 512, 512), is_grey=True),  # a lawn
    Texture("ihc.png"),
    Texture("coffee.png", (485, 0, 600, 400)),  # wood
    Texture("flower.jpg", (0, 0, 160, 427)),  # dark leaves, out of focus
    Texture("flower.jpg", (455, 0, 640, 360)),
    Texture("china.jpg", (360, 0, 640, 130)),  # sky
    Texture("china.jpg", (365, 195, 545, 427)),  # a lake and shrubs
    Texture("motorcycle_left.png", (588, 0, 741, 250)),  # shelves and boxes
    Texture("motorcycle_left.png", (0, 0, 290, 105)),  # a wooden wall and a door
    Texture("rocket.jpg", (0, 0, 300, 427)),  # lattice towers at dusk
)


def random_background(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A random crop of a random texture, flipped and tinted by chance: float32 (height, width, 3), 0 to 1."""
    texture = TEXTURES[rng.integers(len(TEXTURES))]
    crop = _random_crop(_patch(texture), height, width, rng)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.5:
        crop = crop[::-1]
    resized = cv2.resize(np.ascontiguousarray(crop), (width, height), interpolation=cv2.INTER_LINEAR)
    strength = 0.25 if texture.is_grey else 0.12
    light = random_tint(rng, strength) * np.float32(rng.uniform(*GAIN))
    return np.clip(resized.astype(np.float32) / 255 * light, 0, 1)


def _patch(texture: Texture) -> NDArray[np.uint8]:
    photo = load_photo(texture.photo)
    if texture.patch is None:
        return photo
    x0, y0, x1, y1 = texture.patch
    return photo[y0:y1, x0:x1]


def _random_crop(patch: NDArray[np.uint8], height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A crop of the shape height : width."""
    largest = min(patch.shape[0] / height, patch.shape[1] / width)
    scale = largest * rng.uniform(MIN_CROP, 1)
    crop_height, crop_width = max(1, int(height * scale)), max(1, int(width * scale))
    top = int(rng.integers(patch.shape[0] - crop_height + 1))
    left = int(rng.integers(patch.shape[1] - crop_width + 1))
    return patch[top : top + crop_height, left : left + crop_width]
