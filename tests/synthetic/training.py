"""Small training sets on disk, and trainings of a network that needs no weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from psol_ray.models.saved import SavedNetwork
from psol_ray.tables import Provenance, RunDir
from psol_ray.training.settings import TrainConfig
from psol_ray.training.setup import TrainingSetup
from psol_ray.training.training_set import TrainingSet
from synthetic.images import write_squares
from synthetic.tables import catalog_of, image

__all__ = ["make_setup", "write_training_set"]


def write_training_set(root: Path, number: int, *, boxes: bool = True) -> TrainingSet:
    """Images of `write_squares`, a bright square of class 0 and a dark one of class 1."""
    sizes, squares = write_squares(root, number)
    return TrainingSet(
        images=pa.table({"image_id": [f"{i}.png" for i in range(number)], "width": [width for width, _ in sizes]}),
        sizes_N2=np.array(sizes, np.int32),
        labels_N=np.arange(number) % 2,
        boxes_N4=np.array(squares, np.float64) if boxes else None,
        num_classes=2,
        num_left_out=0,
    )


def make_setup(folder: Path, *, run: str = "run", number: int = 10, **recipe: Any) -> TrainingSetup:
    """A training on images in `folder/images`, which are also those of validation, with results in `folder/RUN`.

    Three steps of four images an epoch and two epochs, unless `recipe` says otherwise.
    """
    root = folder / "images"
    root.mkdir(exist_ok=True)
    training_set = write_training_set(root, number)
    assert training_set.boxes_N4 is not None
    columns = (
        training_set.images.column("image_id").to_pylist(),
        training_set.boxes_N4,
        training_set.labels_N,
        training_set.sizes_N2,
    )
    rows = (
        image(str(name), [box], label=int(label), width=int(width), height=int(height))
        for name, box, label, (width, height) in zip(*columns, strict=True)
    )
    config = TrainConfig(**{"backbone": "test_resnet", "epochs": 2, "batch_size": 4, "learning_rate": 0.02, **recipe})
    return TrainingSetup(
        config=config,
        saved=SavedNetwork(config.backbone, 32, num_boxes=1, num_classes=2),
        training_set=training_set,
        test_images=catalog_of(*rows),
        pretrained={},
        data_root=str(root),
        seed=0,
        stage=RunDir(str(folder / run)).stage("joint"),
        made_by=Provenance("joint", {"epochs": config.epochs}, {}),
    )
