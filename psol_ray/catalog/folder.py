"""The plainest layout: a folder a split, in it a folder a class."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain, islice

import numpy as np
import pyarrow as pa

from psol_ray.catalog.annotations import Annotations, box_lists, read_boxes_csv
from psol_ray.catalog.astray import without_training
from psol_ray.catalog.class_folders import read_class_folders
from psol_ray.catalog.listing import TEST, TRAIN, Listing, join_splits, split_table
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.scan import Folder, scan_folder
from psol_ray.catalog.split_names import HELD_OUT, TRAINING
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath

__all__ = ["list_folder"]

_BOXES_FILE = "boxes.csv"


def list_folder(root: DataPath) -> Listing:
    """List this tree::

        train/CLASS/...     or training; images, at any depth below the class folder
        val/CLASS/...       or valid, validation, or else test, testing; may be absent
        boxes.csv           image_id,x0,y0,x1,y1; may be absent, may cover any of the images

    in upper or lower case. `test` beside `val` is not read, as no other folder is.

    Raises:
        UserError: `train` is missing, two folders might be the same split, a class folder is empty, an image lies
            outside class folders, a class of `val` is not in `train`, or `boxes.csv` holds a bad box or an
            unknown image.
    """
    top = scan_folder(root)
    _check_lost(root, top)
    folders = _split_folders(root, top)
    found = [read_class_folders(root, folder) for folder in folders]

    csv = root / _BOXES_FILE
    boxes = read_boxes_csv(csv) if csv.is_file() else Annotations()
    passed_over = _beside(top, folders, csv)
    elsewhere = _check_unknown_images(root, boxes, pa.concat_arrays([split.image_ids for split in found]), passed_over)
    tables = [
        split_table(name, split.image_ids, split.class_names, box_lists(split.image_ids, boxes))
        for name, split in zip((TRAIN, TEST), found, strict=False)
    ]
    return join_splits(
        root,
        tables[0],
        tables[1] if len(tables) > 1 else None,
        annotations=[csv] if csv.is_file() else [],
        passed_over=sum((split.passed_over for split in found), passed_over + elsewhere),
        remarks=_remarks(top, folders),
    )


def _check_lost(root: DataPath, top: Folder) -> None:
    """Raise a UserError where what would be read is a link that leads nowhere."""
    read = {_BOXES_FILE, *TRAINING, *chain(*HELD_OUT)}
    lost = [name for reason, name in top.passed_over if reason is Reason.BROKEN_LINK and name.lower() in read]
    if lost:
        raise UserError(f"{root / lost[0]}: found a link that leads nowhere; mend or remove it")


def _split_folders(root: DataPath, top: Folder) -> list[str]:
    """The folder of the training images, and that of the test images where there is one."""
    train = _only_one(root, top, TRAINING)
    if train is None:
        advice = without_training(root, "folder")
        raise UserError(f"{root} has no folder train, expected train/CLASS/ in it; {advice}")
    held_out = (name for names in HELD_OUT if (name := _only_one(root, top, names)))
    return [train, *islice(held_out, 1)]


def _only_one(root: DataPath, top: Folder, names: Sequence[str]) -> str | None:
    there = [folder for folder in top.folders if folder.lower() in names]
    if len(there) > 1:
        raise UserError(f"{root}: found the folders {' and '.join(there)}, expected one of them; move one elsewhere")
    return there[0] if there else None


def _remarks(top: Folder, folders: Sequence[str]) -> list[str]:
    """Which folder the test images are of, where that is not plain."""
    held_out = [name for name in top.folders if any(name.lower() in names for names in HELD_OUT)]
    return [f"{folders[1]} is the test split"] if held_out and held_out not in (["val"], ["test"]) else []


def _beside(top: Folder, folders: Sequence[str], csv: DataPath) -> PassedOver:
    """What lies in the root and is not read."""
    passed_over = top.passed_over.copy()
    if csv.is_file():
        passed_over[Reason.SUFFIX, ".csv"] -= 1
    passed_over.update((Reason.FOLDER, name) for name in top.folders if name not in folders)
    passed_over.update((Reason.OUTSIDE, name) for name in top.images)
    return +passed_over


def _check_unknown_images(root: DataPath, boxes: Annotations, image_ids: pa.Array, beside: PassedOver) -> PassedOver:
    """Refuse boxes of images that are not there; those in folders that are not read are passed over as well."""
    not_read = {name for reason, name in beside if reason is Reason.FOLDER}
    unknown = [boxes.image_keys[i] for i in np.flatnonzero(boxes.rows(image_ids) < 0)]
    lost = [key for key in unknown if key.partition("/")[0] not in not_read]
    if lost:
        raise UserError(
            f"{root / _BOXES_FILE}: found {len(lost)} boxes of images that are not there ({abbreviate(lost)}),"
            f" expected paths below {root} such as {image_ids[0]}; fix or remove these rows"
        )
    return Counter((Reason.BOX, key.partition("/")[0]) for key in unknown)
