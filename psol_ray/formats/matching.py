"""Makes a boxes table of boxes that were read, where they fit the catalog."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from psol_ray.errors import UserError, cannot_read, first_line
from psol_ray.evaluation.join import check_rows, mask
from psol_ray.formats.base import UNREADABLE_FILE, MatchedBoxes
from psol_ray.formats.paths import known_rows
from psol_ray.formats.registry import ONE_FILE, FormatName, find_format
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.geometry.readings import to_pixels
from psol_ray.geometry.units import check_units
from psol_ray.log import say
from psol_ray.tables.boxes_table import area_fractions, boxes_table, image_sizes
from psol_ray.tables.schemas import NO_FOREGROUND, OK, TEST, TRAIN, UNREADABLE, boxes_array

__all__ = ["check_boxes", "hash_boxes", "read_boxes", "source_path", "to_boxes_table"]

_SETTING = "boxes.imported.coordinates"
# Pixels by which a corner that was rounded, or counts from 1, may lie outside; it is moved to the border.
_SLACK = 1.0


def read_boxes(
    format_name: FormatName,
    path: str,
    catalog: pa.Table,
    threshold: float = 0.5,
    coordinates: Coordinates | None = None,
) -> pa.Table:
    """Read another project's boxes as a boxes table of all images of one split or of both.

    Args:
        format_name: a key of `registry.FORMATS`.
        path: the folder that holds them, on this machine; of formats in `registry.ONE_FILE` a file, too.
        catalog: schema `CATALOG`.
        threshold: of `wsol_maps`, see `box_of_map`.
        coordinates: in which the boxes are given, where that is not as the format has it.

    Returns:
        Schema `BOXES`, in the catalog's order. Only `area_fraction` is measured, of the box itself. An image is
        unreadable where the catalog has no size of it, or where the folder's unreadable.csv names it.

    Raises:
        UserError: there is no such folder, or what it holds is malformed or does not fit the catalog.
    """
    source = source_path("boxes.imported.path", path, format_name)
    try:
        matched = find_format(format_name).read(source, catalog, threshold)
        if isinstance(matched, pa.Table):
            return _whole_table(matched, format_name, coordinates)
        unreadable_rows = _unreadable_rows(source if source.is_dir() else source.parent, catalog)
    except OSError as error:
        raise cannot_read(error, f"boxes in the format {format_name}") from None
    matched = _in_pixels(catalog, _best(matched, path), format_name, path, coordinates)
    return to_boxes_table(catalog, matched, path, unreadable_rows)


def _best(matched: MatchedBoxes, source: str) -> MatchedBoxes:
    """Of several boxes of an image that all have a score, the one with the highest; of equal ones the first."""
    if matched.scores_M is None:
        return matched
    best_first_M = np.lexsort((-matched.scores_M, matched.rows_M))
    rows_M = matched.rows_M[best_first_M]
    again_M = np.concatenate([[False], rows_M[1:] == rows_M[:-1]]) if len(rows_M) else np.zeros(0, bool)
    # Those without a score are last, and more than one of them is a mistake.
    left_M = np.zeros(len(rows_M), bool)
    left_M[best_first_M] = again_M
    left_M &= np.isfinite(matched.scores_M)
    if left_M.any():
        say(f"{source}: of several boxes of an image that with the highest score is taken; others: {left_M.sum():,}")
    kept_M = ~left_M
    return replace(
        matched,
        rows_M=matched.rows_M[kept_M],
        boxes_M4=matched.boxes_M4[kept_M],
        foreground_M=None if matched.foreground_M is None else matched.foreground_M[kept_M],
        scores_M=matched.scores_M[kept_M],
    )


def _whole_table(table: pa.Table, format_name: FormatName, given: Coordinates | None) -> pa.Table:
    if given is not None:
        raise UserError(
            f"{_SETTING}: found {given} beside boxes.imported.format {format_name}, whose boxes are in pixels; leave it"
            " out"
        )
    return table


def _in_pixels(
    catalog: pa.Table, matched: MatchedBoxes, format_name: FormatName, source: str, given: Coordinates | None
) -> MatchedBoxes:
    """The boxes in pixels; refused where, taken together, they cannot be what they are said to be."""
    if matched.coordinates is None:
        if given is None:
            return matched
        raise UserError(
            f"{_SETTING}: found {given} beside boxes.imported.format {format_name}, whose boxes are drawn around maps;"
            " leave it out"
        )
    coordinates = given or matched.coordinates
    sizes_M2 = image_sizes(catalog)[matched.rows_M]
    check_units(matched.boxes_M4, sizes_M2, coordinates, source, _SETTING, said=given is not None)
    boxes_M4 = to_pixels(matched.boxes_M4, sizes_M2, coordinates)
    if coordinates == "pixels":
        boxes_M4 = boxes_M4 - [matched.first_pixel, matched.first_pixel, 0, 0]
    return replace(matched, boxes_M4=boxes_M4)


def source_path(setting: str, path: str, format_name: FormatName) -> Path:
    """Find the folder, or the file of a format that is in one, that a setting names.

    Raises:
        UserError: there is none on this machine; the message begins with the setting.
    """
    is_there = os.path.isdir(path) or (format_name in ONE_FILE and os.path.isfile(path))
    if "://" in path or not is_there:
        kind = "folder or file" if format_name in ONE_FILE else "folder"
        raise UserError(
            f"{setting}: found no {kind} {path!r} on this machine, expected the one that holds the boxes; fix the path"
        )
    return Path(path)


def _unreadable_rows(folder: Path, catalog: pa.Table) -> NDArray[np.int64]:
    """Rows of the catalog that an export left out, as the list beside its boxes says; none where there is no list."""
    path = folder / UNREADABLE_FILE
    if not path.exists():
        return np.zeros(0, np.int64)
    try:
        options = csv.ConvertOptions(column_types={"image_id": pa.string()}, include_columns=["image_id"])
        listed = csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=options)
    except (pa.ArrowInvalid, KeyError) as error:
        raise UserError(f"{path}: found {first_line(error)}, expected CSV with a column image_id; fix it") from None
    return known_rows(path, listed["image_id"].combine_chunks(), catalog)


def to_boxes_table(
    catalog: pa.Table, matched: MatchedBoxes, source: str, unreadable_rows: NDArray[np.int64] | None = None
) -> pa.Table:
    """Make rows of a boxes table, in the catalog's order: every image of a split or none, as `psol evaluate` wants it.

    Args:
        catalog: schema `CATALOG`; an image without a size is unreadable, with a box or without.
        matched: in pixels.
        source: where the boxes were found, for messages.
        unreadable_rows: rows of other images that could not be read.

    Raises:
        UserError: an image has several boxes, or has one and is listed as unreadable; a box is not finite, inside
            out, or outside its image; a split has boxes for a part of its images, or neither has any.
    """
    sizes_N2 = image_sizes(catalog)
    listed_N = np.zeros(len(catalog), bool)
    listed_N[unreadable_rows if unreadable_rows is not None else []] = True
    readable_N = (sizes_N2 > 0).all(axis=1) & ~listed_N
    check_boxes(catalog, matched, sizes_N2, source)
    empty_K = matched.empty_K if matched.empty_K is not None else np.zeros(0, np.int64)
    boxed_N = np.zeros(len(catalog), bool)
    boxed_N[matched.rows_M] = True
    check_rows(catalog.take(empty_K), boxed_N[empty_K], source, "with a box and without; leave the one or the other")
    boxed_N[empty_K] = True
    both_N = boxed_N & listed_N
    check_rows(catalog, both_N, source, f"with a box and in {UNREADABLE_FILE}; remove the one or the other")
    kept_N = _complete_splits(catalog, boxed_N, readable_N, listed_N, source)

    boxes_N4, foreground_N = np.full((len(catalog), 4), np.nan), np.ones(len(catalog), bool)
    boxes_N4[matched.rows_M] = matched.boxes_M4
    boxes_N4[empty_K, :2], boxes_N4[empty_K, 2:], foreground_N[empty_K] = 0, sizes_N2[empty_K], False
    if matched.foreground_M is not None:
        foreground_N[matched.rows_M] = matched.foreground_M
    boxes_N4 = np.where(readable_N[:, None], np.clip(boxes_N4, 0, np.tile(sizes_N2, 2)), np.nan)
    status_N = np.where(readable_N, np.where(foreground_N, OK, NO_FOREGROUND), UNREADABLE)
    table = boxes_table(catalog, boxes_N4, status_N, area_fraction=area_fractions(boxes_N4, sizes_N2))
    return table.filter(pa.array(kept_N))


def check_boxes(catalog: pa.Table, matched: MatchedBoxes, sizes_N2: NDArray[np.int64], source: str) -> None:
    """Check boxes in pixels, each of a row of `catalog`, whose images have these sizes.

    Raises:
        UserError: an image has several; one is not finite, inside out, or outside its image; `source` is where it was.
    """
    rows, counts = np.unique(matched.rows_M, return_counts=True)
    check_rows(catalog.take(rows), counts > 1, source, "with more than one box; leave one for each image")
    images = catalog.take(matched.rows_M)
    not_finite_M = ~np.all(np.isfinite(matched.boxes_M4), axis=1)
    check_rows(images, not_finite_M, source, "with a box that is not finite; expected four numbers, fix or remove it")
    inside_out_M = np.any(matched.boxes_M4[:, 2:] < matched.boxes_M4[:, :2], axis=1)
    check_rows(
        images, inside_out_M, source, "with a box that is inside out; expected x0 <= x1 and y0 <= y1, swap its corners"
    )
    ends_M4 = np.tile(sizes_N2[matched.rows_M], 2)
    beyond_M = np.any((matched.boxes_M4 < -_SLACK) | (matched.boxes_M4 > ends_M4 + _SLACK), axis=1)
    outside_M = beyond_M & np.all(ends_M4 > 0, axis=1)
    check_rows(images, outside_M, source, "with a box that reaches outside; expected pixels of the image as stored")


def _complete_splits(
    catalog: pa.Table,
    boxed_N: NDArray[np.bool_],
    readable_N: NDArray[np.bool_],
    listed_N: NDArray[np.bool_],
    source: str,
) -> NDArray[np.bool_]:
    """Which images belong to a split that the source speaks of."""
    if not boxed_N.any():
        raise UserError(f"{source}: found no box, expected one for each of {len(catalog)} images; give another source")
    kept_N = np.zeros(len(catalog), bool)
    for split in (TRAIN, TEST):
        here_N = mask(pc.equal(catalog.column("split"), split))
        if (here_N & (boxed_N | listed_N)).any():
            complaint = (
                f"of {here_N.sum()} {split} images without a box; add them, list those that cannot be read in"
                f" {UNREADABLE_FILE}, or remove that split's boxes"
            )
            check_rows(catalog, here_N & readable_N & ~boxed_N, source, complaint)
            kept_N |= here_N
    return kept_N


def hash_boxes(boxes: pa.Table) -> str:
    """Return 16 hex digits that are equal for equal images, boxes and states, wherever they come from."""
    digest = hashlib.sha256()
    for name in ("image_id", "status"):
        digest.update("\0".join(boxes.column(name).to_pylist()).encode())
    digest.update(boxes_array(boxes).astype("<f4").tobytes())
    return digest.hexdigest()[:16]
