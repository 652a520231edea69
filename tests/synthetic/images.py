"""Small images on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["COLOURS", "cut_short", "save", "touch", "write", "write_images", "write_squares"]

COLOURS = [(220, 30, 30), (30, 30, 220), (30, 200, 30), (230, 220, 40)]

_SQUARE = 24


def touch(root: Path, *names: str) -> None:
    """Make empty files: a listing opens none."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write(path: Path, text: str) -> Path:
    """Write a text file, and the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def save(path: Path, size: tuple[int, int], mode: str = "RGB", **options: Any) -> Path:
    """Write a black image, and the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path, **options)
    return path


def write_images(root: Path, classes: list[str], *, train: int = 6, val: int = 3) -> Path:
    """Write a data set of the folder layout: a coloured square on grey noise, sides of 40 to 96 pixels, boxes.csv."""
    rng = np.random.default_rng(0)
    rows = ["image_id,x0,y0,x1,y1"]
    for split, number in (("train", train), ("val", val)):
        for label, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(number):
                width, height, x, y = (int(v) for v in (*rng.integers(40, 97, 2), *rng.integers(0, 16, 2)))
                pixels = rng.integers(90, 160, (height, width, 3)).astype(np.uint8)
                pixels[y : y + _SQUARE, x : x + _SQUARE] = COLOURS[label % len(COLOURS)]
                Image.fromarray(pixels).save(folder / f"{i}.jpg", quality=95)
                rows.append(f"{split}/{name}/{i}.jpg,{x},{y},{x + _SQUARE},{y + _SQUARE}")
    (root / "boxes.csv").write_text("\n".join(rows) + "\n")
    return root


def cut_short(*paths: Path) -> None:
    """Leave of images their whole header and no pixels."""
    for path in paths:
        path.write_bytes(path.read_bytes()[:700])


def write_squares(root: Path, number: int) -> tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int, int, int]]]:
    """Write `0.png`, `1.png` and so on: a bright square (even numbers) or a dark one (odd) on plain grey.

    Returns:
        `(width, height)` of each, and its square's box in pixels.
    """
    rng = np.random.default_rng(0)
    sizes, boxes = [], []
    for i in range(number):
        width, height = (int(side) for side in rng.integers(40, 80, 2))
        x, y = (int(corner) for corner in rng.integers(0, 16, 2))
        pixels = np.full((height, width, 3), 128, np.uint8)
        pixels[y : y + _SQUARE, x : x + _SQUARE] = 250 if i % 2 == 0 else 5
        Image.fromarray(pixels).save(root / f"{i}.png")
        sizes.append((width, height))
        boxes.append((x, y, x + _SQUARE, y + _SQUARE))
    return sizes, boxes
