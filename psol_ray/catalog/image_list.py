"""A list of images that somebody wrote: paths, and of each its class, split and boxes, where these are known."""

import os
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.classes import class_of_root
from psol_ray.catalog.csv_columns import CORNERS
from psol_ray.catalog.faults import Faults
from psol_ray.catalog.list_file import CLASS, PATH, SPLIT, find_list, read_list
from psol_ray.catalog.listing import Listing
from psol_ray.catalog.objects import Objects, list_objects
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.split_names import HELD_OUT, TRAINING
from psol_ray.catalog.unicode_forms import composed
from psol_ray.errors import UserError
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.storage.tree import DataPath
from psol_ray.tables.image_ids import check_listed_ids
from psol_ray.tables.schemas import TEST, TRAIN

__all__ = ["list_image_list"]

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_TRAIN, _TEST, _NOT_READ = 0, 1, 2


@dataclass(frozen=True)
class _Rows:
    """The rows of a list: texts, null where a cell is empty, and the columns that there are."""

    table: pa.Table

    def __getitem__(self, name: str) -> pa.Array:
        return self.table[name].combine_chunks()

    def has(self, name: str) -> bool:
        return name in self.table.column_names

    def where(self, kept_R: NDArray[np.bool_]) -> "_Rows":
        return self if kept_R.all() else _Rows(self.table.filter(pa.array(kept_R)))


def list_image_list(root: DataPath, coordinates: Coordinates) -> Listing:
    """List the images of `images.csv` or `images.parquet`, a row an image or, of several boxes, a row a box::

        path              below the root, or absolute and in it
        class             a name or a number; without the column the folder that an image lies in
        split             train; val (or valid, validation), else test; without the column all are training images
        x0,y0,x1,y1       corners in pixels, unless `coordinates` says otherwise; empty where there is no box

    in any order of rows and columns. Paths are taken as they are, whatever their suffix; one whose file is not there
    is an image that is away.

    Raises:
        UserError: there is no list, or it is malformed, a path leads out of the root, or no training image has a class.
    """
    path = find_list(root)
    faults = Faults()
    rows = _Rows(read_list(path, faults))
    faults.of(path, len(rows.table))
    rows = _with_paths(root, path, rows, faults)
    row_R, image_ids = _images(rows[PATH])
    passed_over: PassedOver = PassedOver()
    split_N = _splits(path, rows, row_R, image_ids, faults, passed_over)
    read_N = split_N < _NOT_READ
    objects = _objects(root, path, rows, row_R, image_ids, faults).of_images(read_N)
    image_ids = image_ids.filter(pa.array(read_N))
    splits = pa.array([TRAIN, TEST]).take(pa.array(split_N[read_N]))
    return list_objects(
        root,
        pa.table({"image_id": image_ids, "split": splits}),
        _single(path, objects, image_ids, faults),
        coordinates,
        path,
        faults=faults,
        passed_over=passed_over,
        annotations=[path],
    )


def _with_paths(root: DataPath, path: DataPath, rows: _Rows, faults: Faults) -> _Rows:
    """Rows that name an image, by its path below the root."""
    named = np.asarray(pc.is_valid(rows[PATH]))
    faults.add(path, "rows without a path", [f"row {i + 1}" for i in np.flatnonzero(~named)[:3]], int((~named).sum()))
    rows = rows.where(named)
    if not len(rows.table):
        raise UserError(f"{path}: found no path in it, expected a row an image; add them")
    names = rows[PATH]
    for start in _spellings(root):
        names = pc.if_else(pc.starts_with(names, start), pc.utf8_slice_codeunits(names, len(start)), names)
    check_listed_ids(path, names)
    at = rows.table.column_names.index(PATH)
    return _Rows(rows.table.set_column(at, PATH, names))


def _spellings(root: DataPath) -> list[str]:
    """What a path may begin with and be one below the root."""
    own = [os.path.abspath(root), os.path.realpath(root)] if isinstance(root, os.PathLike) else []
    return [*(f"{name.rstrip('/')}/" for name in dict.fromkeys(own)), "./"]


def _images(paths: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """The image of each row, and the images, each once, however its name is spelt."""
    encoded = composed(paths).dictionary_encode()
    row_R = np.asarray(encoded.indices, np.int64)
    _, first_N = np.unique(row_R, return_index=True)
    return row_R, paths.take(pa.array(first_N))


def _splits(
    path: DataPath, rows: _Rows, row_R: NDArray[np.int64], image_ids: pa.Array, faults: Faults, passed_over: PassedOver
) -> NDArray[np.int64]:
    """The number of each image's split."""
    if not rows.has(SPLIT):
        return np.zeros(len(image_ids), np.int64)
    words = pc.fill_null(pc.utf8_lower(rows[SPLIT]), TRAINING[0])
    there = set(pc.unique(words).to_pylist())
    held_out = next((names for names in HELD_OUT if there.intersection(names)), ())
    others = {name for names in HELD_OUT for name in names} - set(held_out)
    code_R = np.full(len(words), -1)
    for code, names in ((_TRAIN, TRAINING), (_TEST, held_out), (_NOT_READ, others)):
        code_R[np.asarray(pc.is_in(words, value_set=pa.array(list(names), pa.string())))] = code
    unknown = words.filter(pa.array(code_R < 0))
    faults.add(path, "rows of no split that is known", pc.unique(unknown).to_pylist(), len(unknown))
    low_N, high_N = np.full(len(image_ids), _NOT_READ), np.full(len(image_ids), -1)
    np.minimum.at(low_N, row_R, np.where(code_R < 0, _NOT_READ, code_R))
    np.maximum.at(high_N, row_R, code_R)
    several_N = (low_N < high_N) & (high_N >= 0)
    faults.add(path, "images of several splits", image_ids.filter(pa.array(several_N)).to_pylist())
    later = image_ids.filter(pa.array((low_N == _NOT_READ) & (high_N == _NOT_READ)))
    if len(later):
        passed_over[Reason.SPLIT, ", ".join(sorted(there & others))] += len(later)
    return np.where(several_N, _NOT_READ, low_N)


def _objects(
    root: DataPath, path: DataPath, rows: _Rows, row_R: NDArray[np.int64], image_ids: pa.Array, faults: Faults
) -> Objects:
    if rows.has(CLASS):
        names = rows[CLASS]
    else:
        folders = pc.struct_field(pc.extract_regex(rows[PATH], r"(?:^|/)(?P<folder>[^/]+)/[^/]+$"), "folder")
        names = pc.fill_null(folders, class_of_root(root))
    if not rows.has(CORNERS[0]):
        return Objects(row_R, names, np.full((len(row_R), 4), np.nan))
    texts = [rows[name] for name in CORNERS]
    filled_R4 = np.stack([np.asarray(pc.is_valid(each)) for each in texts], axis=1)
    number_R4 = np.stack(
        [np.asarray(pc.fill_null(pc.match_substring_regex(each, _NUMBER), False)) for each in texts], axis=1
    )
    bad_R = filled_R4.any(axis=1) & ~number_R4.all(axis=1)
    names_of_bad = image_ids.take(pa.array(row_R[bad_R][:3])).to_pylist()
    faults.add(path, "boxes that are no four numbers", names_of_bad, int(bad_R.sum()))
    good = pa.array(number_R4.all(axis=1))
    columns = [np.asarray(pc.fill_null(pc.if_else(good, each, None).cast(pa.float64()), np.nan)) for each in texts]
    return Objects(row_R, names, np.stack(columns, axis=1))


def _single(path: DataPath, objects: Objects, image_ids: pa.Array, faults: Faults) -> Objects:
    """The objects without those that are there twice, and without images that are said to be of several classes."""
    codes = pc.fill_null(composed(objects.names).dictionary_encode().indices, -1)
    columns = {"row": objects.row_M, "code": codes, **{str(i): objects.numbers_M4[:, i] for i in range(4)}}
    table = pa.table({**columns, "at": np.arange(len(objects.row_M))})
    # Empty boxes are equal, too.
    first = table.group_by([*columns], use_threads=False).aggregate([("at", "min")])["at_min"]
    kept_M = np.zeros(len(objects.row_M), bool)
    kept_M[np.asarray(first)] = True
    twice = image_ids.take(pa.array(objects.row_M[~kept_M][:3])).to_pylist()
    faults.add(path, "rows that say what another has said", twice, int((~kept_M).sum()))
    objects, code_M = objects.where(kept_M), np.asarray(codes)[kept_M]
    boxed_N = np.zeros(len(image_ids), bool)
    boxed_N[objects.row_M[objects.boxed_M]] = True
    low_N, high_N = np.full(len(image_ids), len(code_M)), np.full(len(image_ids), -1)
    np.minimum.at(low_N, objects.row_M[code_M >= 0], code_M[code_M >= 0])
    np.maximum.at(high_N, objects.row_M, code_M)
    several_N = ~boxed_N & (low_N < high_N)
    faults.add(path, "images of several classes and without a box", image_ids.filter(pa.array(several_N)).to_pylist())
    return objects.where(~several_N[objects.row_M])
