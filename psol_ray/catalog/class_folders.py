"""Images in class folders, at any depth. No file is opened, and only links and folders are asked for their `stat`."""

import os
from collections import Counter, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from psol_ray.catalog.astray import without_classes
from psol_ray.catalog.passed_over import PassedOver, Reason, describe
from psol_ray.catalog.scan import Folder, cannot_list, scan_folder
from psol_ray.catalog.unicode_forms import check_one_form
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath, StorePath
from psol_ray.work.threads import map_waiting

__all__ = ["ClassFolders", "images_below", "read_class_folders", "string_array"]


@dataclass(frozen=True)
class ClassFolders:
    """Images in class folders, sorted by class, then image: paths below the root, and their folders' names."""

    image_ids: pa.Array
    class_names: pa.Array
    passed_over: PassedOver


def read_class_folders(root: DataPath, folder: str) -> ClassFolders:
    """Images below `root/folder/CLASS/`, at any depth.

    Raises:
        UserError: there is no class folder, one has no image, is a broken link or is there in two of Unicode's forms,
            or an image lies outside of them.
    """
    where = root / folder
    found = scan_folder(where)
    _check_class_folders(where, found)
    classes = list(map_waiting(partial(_read_class, root, folder), found.folders))
    _check_empty(where, found.folders, [len(image_ids) for image_ids, _ in classes], [over for _, over in classes])
    passed_over = sum((over for _, over in classes), found.passed_over)
    class_index_N = np.repeat(np.arange(len(classes)), [len(image_ids) for image_ids, _ in classes])
    class_names = string_array(found.folders, where)
    check_one_form(where, class_names)
    image_ids = pa.concat_arrays([image_ids for image_ids, _ in classes])
    return ClassFolders(image_ids, class_names.take(pa.array(class_index_N)), passed_over)


def _check_class_folders(where: DataPath, found: Folder) -> None:
    if found.images:
        raise UserError(
            f"{where}: found {len(found.images)} images outside class folders ({abbreviate(found.images)}),"
            " expected only folders named by class; move or remove these images"
        )
    broken = sorted(name for reason, name in found.passed_over if reason is Reason.BROKEN_LINK)
    if broken:
        raise UserError(
            f"{where}: found {len(broken)} links that lead nowhere ({abbreviate(broken)}), expected folders named by"
            " class; mend or remove them"
        )
    if not found.folders:
        raise UserError(f"{where}: found no class folders, expected one a class; {without_classes(where, found)}")


def _check_empty(where: DataPath, names: list[str], counts: list[int], passed_over: list[PassedOver]) -> None:
    empty = [i for i, count in enumerate(counts) if not count]
    if empty:
        over = describe(sum((passed_over[i] for i in empty), Counter()))
        raise UserError(
            f"{where}: found {len(empty)} class folders without images ({abbreviate([names[i] for i in empty])}"
            f"{f'; in them {over}' if over else ''}), expected one image or more in each; add images or remove these"
            " folders"
        )


def _read_class(root: DataPath, folder: str, class_name: str) -> tuple[pa.Array, PassedOver]:
    # An Arrow array a class: never are all 1.28 million names Python objects at once.
    path = f"{folder}/{class_name}"
    names, passed_over = images_below(root / path)
    return string_array([f"{path}/{name}" for name in sorted(names)], f"{root}/{path}"), passed_over


def images_below(path: DataPath) -> tuple[list[str], PassedOver]:
    """Paths below `path`, each folder read once however many links lead to it, and by its own path where it has one."""
    names: list[str] = []
    passed_over: PassedOver = Counter()
    folders, links = deque([""]), deque[str]()  # the former first
    read = set()
    while folders or links:
        below = folders.popleft() if folders else links.popleft()
        folder = _identity(path / below[1:])
        if folder in read:
            passed_over[Reason.TWICE, os.path.basename(below)] += 1
            continue
        read.add(folder)
        found = scan_folder(path / below[1:])
        names.extend(f"{below}/{name}"[1:] for name in found.images)
        for name in found.folders:
            (links if name in found.links else folders).append(f"{below}/{name}")
        passed_over.update(found.passed_over)
    return names, passed_over


def _identity(path: DataPath) -> Hashable:
    """What a folder is, whatever links lead there."""
    if isinstance(path, StorePath):
        return path.path  # a store has no links
    try:
        found = os.stat(path)
    except OSError as error:
        raise cannot_list(path, error) from None
    return found.st_dev, found.st_ino


def string_array(names: Sequence[str], where: str | DataPath) -> pa.Array:
    """File names as an Arrow array.

    Raises:
        UserError: a name is not UTF-8, which a table cannot hold.
    """
    try:
        return pa.array(names, pa.string())
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: found the file name {error.object!r}, expected UTF-8; rename it") from None
