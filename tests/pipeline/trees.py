"""Tiny data sets of the folder layout, and the settings of a run on one that takes seconds."""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

_COLOURS = [(220, 30, 30), (30, 30, 220), (30, 200, 30), (230, 220, 40)]


def write_images(root: Path, classes: list[str], *, train: int = 6, val: int = 3) -> Path:
    """A coloured square on grey noise, images of 40 to 96 pixels a side, with its box in boxes.csv."""
    rng = np.random.default_rng(0)
    rows = ["image_id,x0,y0,x1,y1"]
    for split, number in (("train", train), ("val", val)):
        for label, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(number):
                width, height, x, y = (int(v) for v in (*rng.integers(40, 97, 2), *rng.integers(0, 16, 2)))
                pixels = rng.integers(90, 160, (height, width, 3)).astype(np.uint8)
                pixels[y : y + 24, x : x + 24] = _COLOURS[label % len(_COLOURS)]
                Image.fromarray(pixels).save(folder / f"{i}.jpg", quality=95)
                rows.append(f"{split}/{name}/{i}.jpg,{x},{y},{x + 24},{y + 24}")
    (root / "boxes.csv").write_text("\n".join(rows) + "\n")
    return root


def cut_short(*paths: Path) -> None:
    """Leave of images their whole header and no pixels."""
    for path in paths:
        path.write_bytes(path.read_bytes()[:700])


def write_config(folder: Path, root: Path, **changes: object) -> Path:
    """A YAML file for a run in `folder`; `changes` replace its sections."""
    network = {"backbone": "test_efficientnet", "weights": "random", "input_size": 64, "batch_size": 4}
    config = {
        "run_dir": str(folder / "run"),
        "data": {"root": str(root)},
        "boxes": {"backbone": "test_resnet", "weights": "random", "input_size": 96, "precision": "float32"},
        "localizer": {**network, "epochs": 2},
        "classifier": {**network, "epochs": 1},
        # Most tests are not about Ray, which takes seconds to start, and whose every process imports torch anew.
        "cluster": {"address": "in-process"},
        **changes,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
