"""Writes the demo: folders of JPEG files by split and class, and the ground-truth boxes."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from psol_ray.demo.compose import compose
from psol_ray.demo.outlines import class_names
from psol_ray.errors import UserError

__all__ = ["NUM_IMAGES", "make_demo"]

_BOXES_FILE = "boxes.csv"
JPEG_QUALITY = 90
NUM_TRAIN, NUM_VAL = 160, 20  # of each class
NUM_IMAGES = (NUM_TRAIN + NUM_VAL) * len(class_names())

BoxRow = tuple[str, int, int, int, int]


def make_demo(
    root: str | os.PathLike[str],
    *,
    seed: int = 0,
    num_train: int = NUM_TRAIN,
    num_val: int = NUM_VAL,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes `root`/{train,val}/CLASS/NNN.jpg and `root`/boxes.csv, whole or not at all.

    Does nothing where `root` already holds a demo. The same arguments and library versions give the same
    bytes; an image depends on the seed, its class, split and number only, not on how many there are.

    Args:
        root: Folder to make.
        seed: Non-negative; another seed, other images.
        num_train: Images of each class in train.
        num_val: Images of each class in val.
        on_progress: Called with (done, total) after each image.

    Raises:
        UserError: `root` exists and is not a demo, an argument is negative, or a photograph is not installed.
    """
    root = Path(root)
    if min(seed, num_train, num_val) < 0:
        raise UserError(f"demo: found seed={seed}, num_train={num_train}, num_val={num_val}; expected none below 0")
    if (root / _BOXES_FILE).is_file():
        return
    if root.exists():
        raise UserError(
            f"{root} exists but holds no {_BOXES_FILE}, so it is not a demo: name another folder or remove it"
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    # A sibling, so that the rename stays on one file system and is atomic.
    building = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        _write(building, seed, {"train": num_train, "val": num_val}, on_progress)
        building.chmod(0o755)  # mkdtemp makes it private
        _publish(building, root)
    finally:  # an interrupt, too, must leave nothing behind
        shutil.rmtree(building, ignore_errors=True)


def _publish(building: Path, root: Path) -> None:
    try:
        os.rename(building, root)
    except OSError:
        if not (root / _BOXES_FILE).is_file():  # else another process made the same demo first
            raise


def _write(root: Path, seed: int, counts: dict[str, int], on_progress: Callable[[int, int], None] | None) -> None:
    total = len(class_names()) * sum(counts.values())
    with open(root / _BOXES_FILE, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["image_id", "x0", "y0", "x1", "y1"])
        for done, row in enumerate(_write_images(root, seed, counts), start=1):
            rows.writerow(row)
            if on_progress is not None:
                on_progress(done, total)


def _write_images(root: Path, seed: int, counts: dict[str, int]) -> Iterator[BoxRow]:
    for split, count in counts.items():
        for class_name in class_names():
            (root / split / class_name).mkdir(parents=True)
            for index in range(count):
                image_id = f"{split}/{class_name}/{index:03d}.jpg"
                composition = compose(class_name, _generator(seed, split, class_name, index))
                Image.fromarray(composition.rgb).save(root / image_id, quality=JPEG_QUALITY)
                yield (image_id, *composition.box)


def _generator(seed: int, split: str, class_name: str, index: int) -> np.random.Generator:
    """A generator of each image's own: more images, or fewer classes, leave it as it is."""
    return np.random.default_rng([seed, zlib.crc32(split.encode()), zlib.crc32(class_name.encode()), index])
