"""The plainest layout: a folder a split, in it a folder a class."""

from collections.abc import Sequence
from itertools import chain, islice

import pyarrow as pa

from psol_ray.catalog.astray import without_training
from psol_ray.catalog.boxes_csv import BOXES_FILE, boxes_of_tree
from psol_ray.catalog.class_folders import read_class_folders
from psol_ray.catalog.listing import TEST, TRAIN, Listing, join_splits, split_table
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.scan import Folder, scan_folder
from psol_ray.catalog.split_names import HELD_OUT, TRAINING
from psol_ray.errors import UserError
from psol_ray.storage.tree import DataPath

__all__ = ["list_folder"]


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

    image_ids = pa.concat_arrays([split.image_ids for split in found])
    passed_over = _beside(top, folders)
    csv, lists, elsewhere = boxes_of_tree(root, image_ids, passed_over)
    if csv:
        passed_over[Reason.SUFFIX, ".csv"] -= 1
    starts = [0, len(found[0].image_ids)]
    tables = [
        split_table(name, split.image_ids, split.class_names, lists.slice(start, len(split.image_ids)))
        for name, start, split in zip((TRAIN, TEST), starts, found, strict=False)
    ]
    return join_splits(
        root,
        tables[0],
        tables[1] if len(tables) > 1 else None,
        annotations=[csv] if csv else [],
        passed_over=sum((split.passed_over for split in found), +(passed_over + elsewhere)),
        remarks=_remarks(top, folders),
    )


def _check_lost(root: DataPath, top: Folder) -> None:
    """Raise a UserError where what would be read is a link that leads nowhere."""
    read = {BOXES_FILE, *TRAINING, *chain(*HELD_OUT)}
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


def _beside(top: Folder, folders: Sequence[str]) -> PassedOver:
    """What lies in the root and is not read."""
    passed_over = top.passed_over.copy()
    passed_over.update((Reason.FOLDER, name) for name in top.folders if name not in folders)
    passed_over.update((Reason.OUTSIDE, name) for name in top.images)
    return passed_over
