"""Finds image files below folders. No file is opened, and none but links is asked for its `stat`."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from psol_ray.catalog.passed_over import PassedOver, Reason, describe
from psol_ray.catalog.unicode_forms import check_one_form
from psol_ray.errors import UserError, abbreviate
from psol_ray.images.picture_formats import picture_suffixes

__all__ = ["ClassFolders", "Folder", "read_class_folders", "scan_folder", "string_array"]

# What file managers, servers, archives and repairs leave in people's folders: nobody's class, nor a part of one. Names
# with a dot before them (.DS_Store, .AppleDouble, .Trash-1000, ._1.jpg) are hidden, and left out as such.
_LITTER = frozenset(
    {
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@tmp",
        "__macosx",
        "__pycache__",
        "cvs",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "lost+found",
        "network trash folder",
        "recycler",
        "system volume information",
        "temporary items",
        "thumbs.db",
    }
)

# Listing a folder on a network filesystem is waiting, and ImageNet has a thousand of them.
_NUM_THREADS = 16


@dataclass(frozen=True)
class Folder:
    """Names of the images and of the folders directly in a folder, each sorted, and what else is there."""

    images: list[str]
    folders: list[str]
    passed_over: PassedOver


@dataclass(frozen=True)
class ClassFolders:
    """Images in class folders, sorted by class, then image: paths below the root, and their folders' names."""

    image_ids: pa.Array
    class_names: pa.Array
    passed_over: PassedOver


class _Kind(Enum):
    FILE = auto()
    FOLDER = auto()
    BROKEN_LINK = auto()
    OTHER = auto()  # pipes, sockets and devices, which are never opened: that might wait for ever


def scan_folder(path: str | Path) -> Folder:
    """List one folder.

    A broken link with an image's suffix is an image: one that is away.

    Raises:
        UserError: the folder cannot be listed, for want of permission, say.
    """
    images: list[str] = []
    folders: list[str] = []
    passed_over: PassedOver = Counter()
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                _sort_in(entry, images, folders, passed_over)
    except OSError as error:
        raise UserError(f"{path} cannot be listed ({error.strerror}), expected a folder; fix it") from None
    return Folder(sorted(images), sorted(folders), passed_over)


def _sort_in(entry: "os.DirEntry[str]", images: list[str], folders: list[str], passed_over: PassedOver) -> None:
    name = entry.name
    if name.startswith("."):
        passed_over[Reason.HIDDEN, ""] += 1
        return
    if name.lower() in _LITTER:
        passed_over[Reason.LITTER, name] += 1
        return
    kind, suffix = _kind(entry), os.path.splitext(name)[1].lower()
    if kind is _Kind.FOLDER:
        if entry.is_symlink() and _leads_back(entry.path):
            passed_over[Reason.LOOP, name] += 1
        else:
            folders.append(name)
    elif kind is _Kind.OTHER:
        passed_over[Reason.NO_FILE, name] += 1
    elif suffix in picture_suffixes():
        images.append(name)
    elif kind is _Kind.BROKEN_LINK:
        passed_over[Reason.BROKEN_LINK, name] += 1
    else:
        passed_over[Reason.SUFFIX, suffix or "no suffix"] += 1


def _kind(entry: "os.DirEntry[str]") -> _Kind:
    # Of all but links the folder itself says what they are.
    if entry.is_file(follow_symlinks=False):
        return _Kind.FILE
    if entry.is_dir(follow_symlinks=False):
        return _Kind.FOLDER
    if not entry.is_symlink():
        return _Kind.OTHER
    try:
        entry.stat()
    except OSError:  # among them links that lead to themselves
        return _Kind.BROKEN_LINK
    return _Kind.FOLDER if entry.is_dir() else _Kind.FILE if entry.is_file() else _Kind.OTHER


def _leads_back(link: str) -> bool:
    """Whether a link leads to a folder that it lies in, by whatever way it was reached."""
    target = os.path.realpath(link)
    return any(os.path.realpath(folder) == target for folder in Path(os.path.abspath(link)).parents)


def read_class_folders(root: Path, folder: str) -> ClassFolders:
    """Images below `root/folder/CLASS/`, at any depth.

    Raises:
        UserError: there is no class folder, one has no image, is a broken link or is there in two of Unicode's forms,
            or an image lies outside of them.
    """
    where = root / folder
    found = scan_folder(where)
    _check_class_folders(where, found)
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        classes = list(pool.map(partial(_read_class, root, folder), found.folders))
    _check_empty(where, found.folders, [len(image_ids) for image_ids, _ in classes], [over for _, over in classes])
    passed_over = sum((over for _, over in classes), found.passed_over)
    class_index_N = np.repeat(np.arange(len(classes)), [len(image_ids) for image_ids, _ in classes])
    class_names = string_array(found.folders, where)
    check_one_form(where, class_names)
    image_ids = pa.concat_arrays([image_ids for image_ids, _ in classes])
    return ClassFolders(image_ids, class_names.take(pa.array(class_index_N)), passed_over)


def _check_class_folders(where: Path, found: Folder) -> None:
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
        raise UserError(f"{where}: found no class folders, expected one a class; add them")


def _check_empty(where: Path, names: list[str], counts: list[int], passed_over: list[PassedOver]) -> None:
    empty = [i for i, count in enumerate(counts) if not count]
    if empty:
        over = describe(sum((passed_over[i] for i in empty), Counter()))
        raise UserError(
            f"{where}: found {len(empty)} class folders without images ({abbreviate([names[i] for i in empty])}"
            f"{f'; in them {over}' if over else ''}), expected one image or more in each; add images or remove these"
            " folders"
        )


def _read_class(root: Path, folder: str, class_name: str) -> tuple[pa.Array, PassedOver]:
    # An Arrow array a class: never are all 1.28 million names Python objects at once.
    path = f"{folder}/{class_name}"
    names, passed_over = _images_below(f"{root}/{path}")
    return string_array([f"{path}/{name}" for name in sorted(names)], f"{root}/{path}"), passed_over


def _images_below(path: str) -> tuple[list[str], PassedOver]:
    found = scan_folder(path)
    names, passed_over = found.images, found.passed_over
    for folder in found.folders:
        below, over = _images_below(f"{path}/{folder}")
        names.extend(f"{folder}/{name}" for name in below)
        passed_over.update(over)
    return names, passed_over


def string_array(names: Sequence[str], where: str | Path) -> pa.Array:
    """File names as an Arrow array.

    Raises:
        UserError: a name is not UTF-8, which a table cannot hold.
    """
    try:
        return pa.array(names, pa.string())
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: found the file name {error.object!r}, expected UTF-8; rename it") from None
