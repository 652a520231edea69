"""Images without splits: class folders directly below the root, or one folder whose images are all of one class."""

import os

import numpy as np
import pyarrow as pa

from psol_ray.catalog.boxes_csv import boxes_of_tree
from psol_ray.catalog.class_folders import images_below, string_array
from psol_ray.catalog.listing import TRAIN, Listing, join_splits, split_table
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.scan import scan_folder
from psol_ray.catalog.unicode_forms import check_one_form
from psol_ray.errors import UserError
from psol_ray.storage.tree import DataPath, name_of
from psol_ray.work.threads import map_waiting

__all__ = ["class_of_root", "list_classes", "list_one_class"]

_NO_TEST = "all are training images: there is no test split"


def list_classes(root: DataPath) -> Listing:
    """List this tree, all of which are training images::

        CLASS/...       images, at any depth below the class folder
        boxes.csv       image_id,x0,y0,x1,y1; may be absent, may cover any of the images

    Folders without images, and images that lie in no folder, are passed over.

    Raises:
        UserError: no folder has an image, or `boxes.csv` holds an unknown image.
    """
    top = scan_folder(root)
    found = list(map_waiting(lambda name: images_below(root / name), top.folders))
    passed_over = sum((over for _, over in found), top.passed_over)
    passed_over.update((Reason.UNSORTED, name) for name in top.images)
    parts, names = [], []
    for name, (images, _) in zip(top.folders, found, strict=True):
        if images:
            parts.append(string_array([f"{name}/{image}" for image in sorted(images)], root / name))
            names.append(name)
        else:
            passed_over[Reason.FOLDER, name] += 1
    if not parts:
        raise UserError(
            f"{root}: found no folder with images, expected CLASS/ with some; set data.root to their folder"
        )
    class_names = string_array(names, root)
    check_one_form(root, class_names)
    number_N = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return _listing(root, pa.concat_arrays(parts), class_names.take(pa.array(number_N)), passed_over)


def list_one_class(root: DataPath) -> Listing:
    """List all images below the root, at any depth, as training images of one class, which is named like the root.

    `boxes.csv` (image_id,x0,y0,x1,y1) may lie beside them.

    Raises:
        UserError: there is none, or `boxes.csv` holds an unknown image.
    """
    images, passed_over = images_below(root)
    if not images:
        raise UserError(f"{root}: found no image, expected some; set data.root to their folder")
    image_ids = string_array(sorted(images), root)
    class_names = pa.repeat(pa.scalar(class_of_root(root)), len(image_ids))
    return _listing(root, image_ids, class_names, passed_over)


def class_of_root(root: DataPath) -> str:
    """What the class of images directly in the root is called: as the folder is named, whatever links lead there."""
    return (
        name_of(root) if not isinstance(root, os.PathLike) else os.path.basename(os.path.realpath(root))
    ) or "images"


def _listing(root: DataPath, image_ids: pa.Array, class_names: pa.Array, passed_over: PassedOver) -> Listing:
    csv, lists, elsewhere = boxes_of_tree(root, image_ids, passed_over)
    if csv:
        passed_over[Reason.SUFFIX, ".csv"] -= 1
    table = split_table(TRAIN, image_ids, class_names, lists)
    return join_splits(
        root,
        table,
        None,
        annotations=[csv] if csv else [],
        passed_over=+(passed_over + elsewhere),
        remarks=[_NO_TEST],
    )
