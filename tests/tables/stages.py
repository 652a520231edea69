"""A stage's table, and two configurations that could have made it."""

import os

import pyarrow as pa

from psol_ray.tables import CATALOG, Provenance, StageDir

OLD = Provenance("boxes", {"backbone": "vgg16"}, {"catalog": "abc"})
NEW = Provenance("boxes", {"backbone": "resnet50"}, {"catalog": "abc"})
TABLE = pa.table(
    {
        "image_id": ["a/1.jpg", "a/2.jpg"],
        "label": [0, 0],
        "class_name": ["a", "a"],
        "split": ["train", "test"],
        "width": [4, 0],
        "height": [3, 0],
        "gt_boxes": [[[0, 0, 2, 2], [1, 1, 4, 3]], []],
    }
).cast(CATALOG)


def files(stage: StageDir) -> set[str]:
    return set(os.listdir(stage.path)) if os.path.isdir(stage.path) else set()


def complete(stage: StageDir, made_by: Provenance, *parts: str) -> None:
    stage.begin(made_by, overwrite=False)
    for part in parts:
        stage.write_part(part, TABLE, made_by)
    stage.complete(made_by, {"images": 2})
