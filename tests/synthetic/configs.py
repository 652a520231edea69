"""The settings of a run that takes seconds."""

from pathlib import Path

import yaml

__all__ = ["write_config"]


def write_config(folder: Path, root: Path, **changes: object) -> Path:
    """A YAML file for a run in `folder`; `changes` replace its sections."""
    network = {"backbone": "test_efficientnet", "weights": "random", "input_size": 64, "batch_size": 4}
    config = {
        "run_dir": str(folder / "run"),
        # Of so few images one that cannot be read is a large share.
        "data": {"root": str(root), "max_unreadable": 0.5},
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
