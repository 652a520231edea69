"""Light and camera: random tints and tones, shadows, blur and noise.

Images are float32 (H, W, 3) in 0 to 1.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["cast_shadow", "random_camera", "random_tint", "random_tone"]

Image = NDArray[np.float32]


def random_tint(rng: np.random.Generator, strength: float) -> NDArray[np.float32]:
    """A factor for each of the three channels, 1 - strength to 1 + strength, that leaves their mean at 1."""
    factors = rng.uniform(1 - strength, 1 + strength, 3)
    return np.asarray(factors / factors.mean(), np.float32)


def random_tone(rgb: Image, rng: np.random.Generator, tint_strength: float) -> Image:
    """Another gain, gamma and colour of light."""
    gain, gamma = rng.uniform(0.75, 1.2), rng.uniform(0.8, 1.25)
    light = random_tint(rng, tint_strength) * np.float32(gain)
    return np.clip(np.power(rgb, np.float32(gamma)) * light, np.float32(0), np.float32(1))


def cast_shadow(background: Image, alpha: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """The object's soft shadow, a little beside it."""
    height, width = alpha.shape
    reach = 0.03 * min(height, width)
    dx, dy = rng.uniform(-reach, reach), rng.uniform(0, reach)
    moved = cv2.warpAffine(alpha, np.array([[1, 0, dx], [0, 1, dy]], np.float32), (width, height))
    soft = cv2.GaussianBlur(moved, (0, 0), float(rng.uniform(0.3, 1.0) * reach + 1))
    return background * (1 - np.float32(rng.uniform(0.2, 0.5)) * soft[..., None])


def random_camera(rgb: Image, rng: np.random.Generator) -> Image:
    """Sometimes a slight blur, sometimes noise, as cameras have."""
    if rng.random() < 0.25:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), float(rng.uniform(0.4, 1.1))), np.float32)
    if rng.random() < 0.35:
        noise = rng.standard_normal(rgb.shape, dtype=np.float32)
        rgb = np.clip(rgb + noise * np.float32(rng.uniform(0.006, 0.025)), 0, 1)
    return rgb
