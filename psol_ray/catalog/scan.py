"""Finds image files below folders. No file is opened, and none is asked for its `stat`."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from psol_ray.errors import UserError, abbreviate

__all__ = ["Folder", "read_class_folders", "scan_folder", "string_array"]

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})

# Listing a folder on a network filesystem is waiting, and ImageNet has a thousand of them.
_NUM_THREADS = 16


@dataclass(frozen=True)
class Folder:
    """Names of the images and of the folders directly in a folder, each sorted; hidden ones are left out."""

    images: list[str]
    folders: list[str]


def scan_folder(path: str | Path) -> Folder:
    """List one folder.

    Raises:
        UserError: the folder cannot be listed, for want of permission or because symbolic links form a loop.
    """
    images, folders = [], []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                # A link with an image's suffix is taken for an image: to follow it would cost a `stat` each.
                if _is_image(entry.name) and not entry.is_dir(follow_symlinks=False):
                    images.append(entry.name)
                elif entry.is_dir():
                    folders.append(entry.name)
    except OSError as error:
        raise UserError(f"{path} cannot be listed ({error.strerror}), expected a folder; fix it") from None
    return Folder(sorted(images), sorted(folders))


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in _SUFFIXES


def read_class_folders(root: Path, folder: str) -> tuple[pa.Array, pa.Array]:
    """Images below `root/folder/CLASS/`, at any depth.

    Returns:
        `image_id` (path below `root`) and `class_name` of each image, sorted by class, then image.

    Raises:
        UserError: there is no class folder, one has no image, or an image lies outside of them.
    """
    found = scan_folder(root / folder)
    if found.images:
        raise UserError(
            f"{root / folder}: found {len(found.images)} images outside class folders ({abbreviate(found.images)}),"
            " expected only folders named by class; move or remove these images"
        )
    if not found.folders:
        raise UserError(f"{root / folder}: found no class folders, expected one a class; add them")
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        classes = list(pool.map(partial(_image_ids, root, folder), found.folders))
    counts = np.array([len(image_ids) for image_ids in classes])
    if (counts == 0).any():
        empty = [found.folders[i] for i in np.flatnonzero(counts == 0)]
        raise UserError(
            f"{root / folder}: found {len(empty)} class folders without images ({abbreviate(empty)}), expected one"
            " image or more in each; add images or remove these folders"
        )
    class_index_N = np.repeat(np.arange(len(counts)), counts)
    return pa.concat_arrays(classes), string_array(found.folders, root / folder).take(pa.array(class_index_N))


def _image_ids(root: Path, folder: str, class_name: str) -> pa.Array:
    # An Arrow array a class: never are all 1.28 million names Python objects at once.
    path = f"{folder}/{class_name}"
    names = sorted(_images_below(f"{root}/{path}"))
    return string_array([f"{path}/{name}" for name in names], f"{root}/{path}")


def _images_below(path: str) -> list[str]:
    found = scan_folder(path)
    names = found.images
    for folder in found.folders:
        names.extend(f"{folder}/{name}" for name in _images_below(f"{path}/{folder}"))
    return names


def string_array(names: Sequence[str], where: str | Path) -> pa.Array:
    """File names as an Arrow array.

    Raises:
        UserError: a name is not UTF-8, which a table cannot hold.
    """
    try:
        return pa.array(names, pa.string())
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: found the file name {error.object!r}, expected UTF-8; rename it") from None
