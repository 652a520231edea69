"""The plainest layout: a folder a split, in it a folder a class."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from psol_ray.catalog.annotations import Annotations, box_lists, read_boxes_csv
from psol_ray.catalog.listing import TEST, TRAIN, join_splits, split_table
from psol_ray.catalog.scan import read_class_folders
from psol_ray.errors import UserError, abbreviate

__all__ = ["list_folder"]


def list_folder(root: Path) -> pa.Table:
    """List this tree::

        train/CLASS/...     images, at any depth below the class folder
        val/CLASS/...       or test/CLASS/...; may be absent
        boxes.csv           image_id,x0,y0,x1,y1; may be absent, may cover any of the images

    Raises:
        UserError: `train` is missing, `val` and `test` are both there, a class folder is empty, an image lies
            outside class folders, a class of `val` is not in `train`, or `boxes.csv` holds a bad box or an
            unknown image.
    """
    if not (root / "train").is_dir():
        raise UserError(f"{root} has no folder train, expected train/CLASS/ in it; set data.root to its parent")
    held_out = [name for name in ("val", "test") if (root / name).is_dir()]
    if len(held_out) > 1:
        raise UserError(f"{root}: found val and test, expected one of them for testing; move one elsewhere")
    splits = [(TRAIN, "train"), *((TEST, name) for name in held_out)]
    found = [(split, *read_class_folders(root, folder)) for split, folder in splits]

    boxes = read_boxes_csv(root / "boxes.csv") if (root / "boxes.csv").exists() else Annotations()
    _check_unknown_images(root, boxes, pa.concat_arrays([image_ids for _, image_ids, _ in found]))
    tables = [split_table(split, ids, names, box_lists(ids, boxes)) for split, ids, names in found]
    return join_splits(root, tables[0], tables[1] if held_out else None)


def _check_unknown_images(root: Path, boxes: Annotations, image_ids: pa.Array) -> None:
    unknown = [boxes.image_keys[i] for i in np.flatnonzero(boxes.rows(image_ids) < 0)]
    if unknown:
        raise UserError(
            f"{root / 'boxes.csv'}: found {len(unknown)} boxes of images that are not there ({abbreviate(unknown)}),"
            f" expected paths below {root} such as {image_ids[0]}; fix or remove these rows"
        )
