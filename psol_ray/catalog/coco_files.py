"""Where COCO's files lie in a tree, and the images that they name."""

import posixpath
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.scan import Names, list_names
from psol_ray.catalog.split_names import HELD_OUT, TRAINING
from psol_ray.storage.tree import DataPath

__all__ = ["ANNOTATIONS", "certain_names", "find_files", "folder_of_images", "plain_paths", "split_folders"]

ANNOTATIONS = ("annotations", "annotation")
_CERTAIN = re.compile(r"(_annotations\.coco|instances_.*|.*\bcoco.*)\.json", re.IGNORECASE)
_LIKELY = re.compile(
    r"(_annotations\.coco|instances.*|.*coco.*|annotations?|labels|result|(train|val|valid|test)[\w.-]*)\.json",
    re.IGNORECASE,
)
_INSTANCES = "instances_"
_NUM_LOOKED_FOR = 8
_ODD_PATH = r"^([A-Za-z]:)?/|\\|(^|/)\.{0,2}(/|$)"
_ABSOLUTE = re.compile(r"^([A-Za-z]:)?/")


def split_folders(top: Names) -> list[str]:
    """Folders that are named like splits."""
    words = {*TRAINING, *(name for names in HELD_OUT for name in names)}
    return [name for name in top.folders if name.lower() in words]


def find_files(root: DataPath, top: Names) -> list[str]:
    """Paths of COCO's files below the root: of its folder `annotations`, else of the splits' folders, else of itself.

    Of files for several tasks, those of `instances` are taken.
    """
    folder = top.folder(*ANNOTATIONS)
    found = [f"{folder}/{name}" for name in _json(list_names(root / folder))] if folder else []
    if not found:
        of_splits = {name: list_names(root / name) for name in split_folders(top)}
        found = [
            f"{name}/{file}" for name, names in of_splits.items() for file in names.files if _LIKELY.fullmatch(file)
        ]
    if not found:
        found = [name for name in top.files if _LIKELY.fullmatch(name)]
    instances = [path for path in found if posixpath.basename(path).lower().startswith(_INSTANCES)]
    return instances or found


def certain_names(files: Sequence[str]) -> bool:
    """Whether a name says that these are COCO's, and not somebody else's JSON."""
    return any(_CERTAIN.fullmatch(posixpath.basename(path)) for path in files)


def _json(names: Names) -> list[str]:
    return [name for name in names.files if name.lower().endswith(".json")]


def plain_paths(names: pa.Array) -> pa.Array:
    """Each `file_name` as a path that leads below a folder: some programs write those of their own machine."""
    if not pc.any(pc.match_substring_regex(names, _ODD_PATH)).as_py():
        return names
    return pa.array(map(_plain_path, names.to_pylist()), pa.string())


def _plain_path(name: str) -> str:
    name = _ABSOLUTE.sub("", name.replace("\\", "/"))
    parts = [part for part in name.split("/") if part not in ("", ".")]
    while parts and parts[0] == "..":
        parts = parts[1:]
    return "/".join(parts)


def folder_of_images(root: DataPath, file: str, names: pa.Array) -> tuple[str | None, bool]:
    """The folder, from the root, below which the images of a file lie, and whether only their last names lead there.

    Args:
        root: the data's.
        file: COCO's file, from the root.
        names: its images', of which a few are looked for.

    Returns:
        None where none of these is found; "" is the root itself.
    """
    at = np.unique(np.linspace(0, len(names) - 1, min(_NUM_LOOKED_FOR, len(names))).astype(np.int64))
    some = names.take(pa.array(at)).to_pylist()
    for by_last_name in (False, True):
        looked_for = [posixpath.basename(name) if by_last_name else name for name in some]
        counts = {
            folder: sum((root / _join(folder, name)).is_file() for name in looked_for) for folder in _folders(file)
        }
        best = max(counts, key=lambda folder: counts[folder])
        if counts[best]:
            return best, by_last_name
    return None, False


def _folders(file: str) -> list[str]:
    """Where images may lie, the likeliest first; the first of equal ones is taken."""
    beside, stem = posixpath.split(file)
    stem = stem.rpartition(".")[0]
    named = [stem.rpartition("_")[2], stem]  # train2017 of instances_train2017
    words = [*named, *re.findall(r"^[A-Za-z]+", named[0])]
    likely = [beside, *(_join(beside, name) for name in ("images", "data"))]
    for word in words:
        likely += [word, f"images/{word}", f"{word}/images", f"data/{word}"]
    return list(dict.fromkeys([*likely, "images", "data", "JPEGImages", ""]))


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
