"""Finds what a format reads: its files, and which image of the catalog a path means. Roots differ, ends do not."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.unicode_forms import composed
from psol_ray.errors import UserError
from psol_ray.evaluation.join import check_rows
from psol_ray.log import say
from psol_ray.tables.schemas import TEST, TRAIN

__all__ = ["AMBIGUOUS", "UNKNOWN", "known_rows", "match_images", "source_file"]

UNKNOWN = -1
AMBIGUOUS = -2

# What the folder of a split is called.
_SPLIT_NAMES = {TRAIN: r"(?i)(^|/)train(ing)?/", TEST: r"(?i)(^|/)(val|valid|validation|test|testing)/"}


def source_file(folder: Path, name: str) -> Path:
    """Find a file that a format cannot do without.

    Raises:
        UserError: it is not there.
    """
    if not (folder / name).is_file():
        raise UserError(
            f"boxes.imported.path: found no {name} in {folder}, expected one; fix the path or boxes.imported.format"
        )
    return folder / name


def known_rows(path: Path, keys: pa.Array, catalog: pa.Table) -> NDArray[np.int64]:
    """Find the catalog's row of each key, a path that may begin elsewhere than the catalog's; see `match_images`.

    Args:
        path: where the keys were found, for messages.

    Returns:
        int64 of shape (len(keys),).

    Raises:
        UserError: a key means no image of the catalog, or may mean several.
    """
    rows_M = match_images(keys, catalog.column("image_id").combine_chunks())
    named = pa.table({"image_id": keys})
    check_rows(named, rows_M == UNKNOWN, str(path), "not in the catalog; import boxes of its images alone")
    check_rows(named, rows_M == AMBIGUOUS, str(path), "that may be any of several in the catalog; give longer paths")
    _tell_other_splits(path, keys, catalog.take(rows_M))
    return rows_M


def _tell_other_splits(path: Path, keys: pa.Array, images: pa.Table) -> None:
    """Say where paths name one split, and the catalog has no more than an image of the other that ends so."""
    of_test = pc.equal(images.column("split"), TEST)
    names = {split: pc.match_substring_regex(keys, _SPLIT_NAMES[split]) for split in (TRAIN, TEST)}
    other = pc.if_else(of_test, pc.and_not(names[TRAIN], names[TEST]), pc.and_not(names[TEST], names[TRAIN]))
    if count := pc.sum(other).as_py():
        row = pc.index(other, True).as_py()
        image_id, split = (images.column(name)[row] for name in ("image_id", "split"))
        say(
            f"{path}: {count:,} paths name another split than their images' ({keys[row]} of the {split} image"
            f" {image_id}, for one); import that split's own boxes if this is not meant"
        )


def match_images(paths: pa.Array, image_ids: pa.Array) -> NDArray[np.int64]:
    """Find the row of the image whose id ends like each path, in as many names (folders and file) as any does.

    A path that is an id means that image, whatever other ids end so. A file's name alone says nothing (`1.jpg` is in
    many folders): with a folder before it, it must agree too, unless one of the two is no more than the name. Names
    that differ in Unicode's form alone are the same.

    Returns:
        int64 of shape (len(paths),): `UNKNOWN` where no id ends so, `AMBIGUOUS` where several do.
    """
    paths, image_ids = composed(paths), composed(image_ids)
    rows_M = np.array(pc.index_in(paths, value_set=image_ids).fill_null(UNKNOWN), np.int64)
    num_names_M, num_names_N = (_num_names(texts) for texts in (paths, image_ids))
    deepest = min(num_names_M.max(initial=0), num_names_N.max(initial=0))
    for depth in range(deepest, 0, -1):
        left_M = rows_M == UNKNOWN
        rows_M[left_M] = _match(paths.filter(pa.array(left_M)), image_ids, depth)
        if depth == 1:
            with_folder_M = left_M & (num_names_M > 1)
            lone_ids = pc.if_else(pa.array(num_names_N == 1), image_ids, None)
            rows_M[with_folder_M] = _match(paths.filter(pa.array(with_folder_M)), lone_ids, depth)
    return rows_M


def _num_names(paths: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.count_substring(paths, "/"), np.int64) + 1


def _match(paths: pa.Array, image_ids: pa.Array, depth: int) -> NDArray[np.int64]:
    """By exactly the last `depth` names; an id that is null or has fewer is none."""
    ends = _last_names(image_ids, depth).dictionary_encode()
    code_N = ends.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(code_N >= 0)
    row_of_code = np.zeros(len(ends.dictionary) + 1, np.int64)
    row_of_code[code_N[rows]] = rows
    row_of_code[:-1][np.bincount(code_N[rows], minlength=len(ends.dictionary)) > 1] = AMBIGUOUS
    row_of_code[-1] = UNKNOWN
    codes = pc.index_in(_last_names(paths, depth), value_set=ends.dictionary).fill_null(-1)
    return row_of_code[codes.to_numpy(zero_copy_only=False)]


def _last_names(paths: pa.Array, depth: int) -> pa.Array:
    """`b/c.jpg` of `a/b/c.jpg` for a depth of 2; null where there are fewer names."""
    ends = pc.extract_regex(paths, rf"(?:^|/)(?P<end>(?:[^/]+/){{{depth - 1}}}[^/]+)$")
    return pc.struct_field(ends, "end")
