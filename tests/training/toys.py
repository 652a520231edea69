"""Small training sets on disk, and networks that need no weights."""

from pathlib import Path

import numpy as np
from PIL import Image

from psol_ray.training.samples import Samples


def write_samples(root: Path, number: int, *, boxes: bool = True) -> Samples:
    """A bright square (label 0) or a dark one (label 1) on grey, its box in pixels."""
    rng = np.random.default_rng(0)
    sizes, rectangles = [], []
    for i in range(number):
        width, height = (int(side) for side in rng.integers(40, 80, 2))
        x, y = (int(corner) for corner in rng.integers(0, 16, 2))
        pixels = np.full((height, width, 3), 128, np.uint8)
        pixels[y : y + 24, x : x + 24] = 250 if i % 2 == 0 else 5
        Image.fromarray(pixels).save(root / f"{i}.png")
        sizes.append((width, height))
        rectangles.append((x, y, x + 24, y + 24))
    return Samples(
        image_ids=np.array([f"{i}.png" for i in range(number)], object),
        sizes_N2=np.array(sizes, np.int32),
        labels_N=np.arange(number) % 2,
        boxes_N4=np.array(rectangles, np.float64) if boxes else None,
        weights_N=np.ones(number),
        num_classes=2,
        num_left_out=0,
    )
