"""What an image is called in a tree of files, one an image, whose names end otherwise than the image's (YOLO, VOC).

Also links to the images, which the readers of such trees look for beside the files.
"""

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.join import check_rows, mask
from psol_ray.formats.paths import known_rows
from psol_ray.tables.schemas import TEST, TRAIN

__all__ = ["SPLITS", "files_below", "image_suffixes", "link_images", "tree_names", "tree_rows", "write_files"]

SPLITS = {TRAIN: "train", TEST: "val"}
"""What other tools call a split."""

_LONGEST = 255 - len(".xml")  # bytes of a file's name, on most file systems
_SUFFIX = r"([^/])(\.[^./]*)$"  # of a path's last name, which is not all of it
# YOLO's readers look for labels where the last folder of this name is.
_RESERVED = ("images", "labels")


def tree_names(catalog: pa.Table) -> pa.Array:
    """A path for each image, without a suffix: below its split's name, without folders that all of a split share.

    An image keeps its suffix, and gets it twice, where another in the same folder has the same name but for that, where
    a name would end in a blank, which lists of names lose, or would be the whole of another's.

    Raises:
        UserError: two images would have the same path, or a file's name is too long.
    """
    splits, image_ids = (catalog.column(name).combine_chunks() for name in ("split", "image_id"))
    paths = np.empty(len(catalog), object)
    for split, name in SPLITS.items():
        rows = np.flatnonzero(np.asarray(pc.equal(splits, split), bool))
        ids = image_ids.take(pa.array(rows))
        below = pc.utf8_slice_codeunits(ids, len(_shared_folders(ids)))
        paths[rows] = pc.binary_join_element_wise(name, below, "/").to_numpy(zero_copy_only=False)
    full = pa.array(paths, pa.string())
    for folder in _RESERVED:
        full = pc.replace_substring_regex(full, rf"(^|/){folder}/", rf"\1{folder}_/")
    stems = pc.replace_substring_regex(full, _SUFFIX, r"\1")
    keeps = pc.or_(_repeated(stems), pc.is_in(stems, value_set=full))
    names = pc.if_else(pc.or_(keeps, pc.match_substring_regex(stems, r"\s$")), full, stems)
    check_rows(catalog, mask(_repeated(names)), "table", "whose files would have the same name; rename the images")
    file_names = pc.replace_substring_regex(names, pattern="^.*/", replacement="")
    complaint = f"named by more than {_LONGEST} bytes, to which no suffix can be added"
    check_rows(catalog, np.asarray(pc.greater(pc.binary_length(file_names), _LONGEST), bool), "table", complaint)
    return names


def _shared_folders(image_ids: pa.Array) -> str:
    """The folders in front of every image, with the slash that ends them."""
    if not len(image_ids):
        return ""
    ends = pc.min_max(image_ids).as_py()
    first, last = ends["min"].split("/")[:-1], ends["max"].split("/")[:-1]
    shared = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(f"{name}/" for name, _ in shared)


def _repeated(names: pa.Array) -> pa.Array:
    counts = pc.value_counts(names)
    return pc.is_in(names, value_set=counts.field("values").filter(pc.greater(counts.field("counts"), 1)))


def image_suffixes(image_ids: pa.Array) -> pa.Array:
    """`.png` of `a/b.png`; `.jpg` where a name has none, because without one nobody takes it for an image."""
    suffixes = pc.replace_substring_regex(image_ids, f"^.*{_SUFFIX}", r"\2")
    return pc.if_else(pc.match_substring_regex(image_ids, _SUFFIX), suffixes, ".jpg")


def write_files(folder: Path, names: Iterable[str], contents: Iterable[bytes]) -> None:
    """Write a small file for each name, making its folder."""
    for path, content in zip(_paths(folder, names), contents, strict=True):
        # Half of what `open` takes.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.write(file, content)
        finally:
            os.close(file)


def link_images(folder: Path, names: Iterable[str], data_root: str, image_ids: Iterable[str]) -> None:
    """Make a link for each name that leads to the image below the data root."""
    for path, image_id in zip(_paths(folder, names), image_ids, strict=True):
        os.symlink(f"{data_root}/{image_id}", path)


def _paths(folder: Path, names: Iterable[str]) -> Iterator[str]:
    made, root = set(), str(folder)
    for name in names:
        below = name.rpartition("/")[0]
        if below not in made:
            os.makedirs(f"{root}/{below}", exist_ok=True)
            made.add(below)
        yield f"{root}/{name}"


def files_below(folder: Path, suffix: str) -> list[str]:
    """The files that end so, as paths below the folder, without the suffix; not what macOS leaves beside them."""
    found: list[str] = []
    for path, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = os.path.relpath(path, folder)
        front = "" if below == "." else f"{below}/"
        found += [front + name[: -len(suffix)] for name in sorted(files) if name.endswith(suffix) and name[:2] != "._"]
    return found


def tree_rows(path: Path, names: pa.Array, catalog: pa.Table) -> NDArray[np.int64]:
    """The catalog's row of each file of such a tree: one that `tree_names` has named, or whose image's path ends so.

    Args:
        path: where the files were found, for messages.

    Raises:
        UserError: a file means no image of the catalog, or may mean several.
    """
    rows_M = np.array(pc.index_in(names, value_set=tree_names(catalog)).fill_null(-1), np.int64)
    others = np.flatnonzero(rows_M < 0)
    if len(others):
        image_ids = catalog.column("image_id").combine_chunks()
        stems = pc.replace_substring_regex(image_ids, _SUFFIX, r"\1")
        by_stem = catalog.set_column(catalog.column_names.index("image_id"), "image_id", stems)
        rows_M[others] = known_rows(path, names.take(pa.array(others)), by_stem)
    return rows_M
