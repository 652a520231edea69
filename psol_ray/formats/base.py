"""What a format is: a module that reads and writes boxes; and what all of them share when they write."""

import csv
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.evaluation.join import catalog_rows, check_bad_boxes, check_rows, mask
from psol_ray.evaluation.quality import quality
from psol_ray.formats.origin import ORIGIN_UNKNOWN, Origin
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.image_ids import leaves_root
from psol_ray.tables.schemas import NO_FOREGROUND, boxes_array

__all__ = [
    "LEAVES_ROOT",
    "ORIGIN_UNKNOWN",
    "UNREADABLE_FILE",
    "ExportRows",
    "Format",
    "MatchedBoxes",
    "Origin",
    "export_rows",
    "exporting",
    "whole_folder",
]

LEAVES_ROOT = "whose path leaves the folder of images; run `psol index` on paths without .. in them"
UNREADABLE_FILE = "unreadable.csv"  # beside the boxes, where images were left out: their ids, below `image_id`
_AT_ONCE = 1 << 16  # rows that are texts at the same time: a million would take a gigabyte


@dataclass(frozen=True)
class MatchedBoxes:
    """M boxes that were read, each of one row of the catalog; a row may have several, or none.

    Boxes are as the format has them; they are not checked yet.
    """

    rows_M: NDArray[np.int64]
    boxes_M4: NDArray[np.float64]
    foreground_M: NDArray[np.bool_] | None = None  # false where the box is the whole image because nothing was found
    coordinates: Coordinates | None = "pixels"  # in which the format has boxes; None is pixels, beyond doubt
    scores_M: NDArray[np.float64] | None = None  # of several boxes of an image that have one, the highest is taken
    empty_K: NDArray[np.int64] | None = None  # rows of which the format says that nothing was found
    first_pixel: int = 0  # the number of the first pixel: where it is 1, the box's last pixel is named, not its end


class Format(Protocol):
    """Reads and writes boxes in one format: a module with these two functions, named in the registry.

    What is not in `WRITTEN` has no `write`.
    """

    def read(self, folder: Path, catalog: pa.Table, threshold: float, /) -> MatchedBoxes | pa.Table:
        """Read all boxes in a folder that is there; as a table of schema `BOXES`, checked, where the format has one.

        Args:
            folder: on this machine; of formats in `registry.ONE_FILE` it may be a file, too.
            catalog: schema `CATALOG`.
            threshold: share of a score map's range above which is object; means nothing to formats without maps.

        Raises:
            UserError: a file is missing or malformed, or speaks of images that are not in the catalog.
        """

    def write(self, folder: str | Path, catalog: pa.Table, table: pa.Table, origin: Origin = ..., /) -> int:
        """Write boxes into a folder that is new or empty, in the catalog's order, whole or not at all.

        Args:
            folder: on this machine.
            catalog: schema `CATALOG`.
            table: schema `BOXES` or `PREDICTIONS`, with rows of any of the catalog's images; of boxes their `quality`
                may be beside it, of the table that these are a part of.
            origin: who made the boxes, and where the images are, for formats that say so.

        Returns:
            How many images were left out because they could not be read.

        Raises:
            UserError: the folder is taken, the table does not fit the catalog, or holds what the format cannot say.
        """


@dataclass(frozen=True)
class ExportRows:
    """N images in the order of the catalog, each with a box, and the ids of the images that could not be read."""

    images: pa.Table  # their rows of the catalog
    boxes_N4: NDArray[np.float64]  # (x0, y0, x1, y1) in pixels of the original image; a box may have no area
    unreadable: list[str]
    numbers_N: NDArray[np.int64]  # which rows of the catalog they are
    measured: pa.Table  # their rows of the table that is exported

    @property
    def image_ids(self) -> list[str]:
        """The image's id of each row."""
        return list(self.images.column("image_id").to_pylist())

    @property
    def sizes_N2(self) -> NDArray[np.int64]:
        """Width and height in pixels of each image."""
        return image_sizes(self.images)

    @property
    def inside_N4(self) -> NDArray[np.float64]:
        """The boxes, clipped to their images."""
        inside_N4: NDArray[np.float64] = np.clip(self.boxes_N4, 0, np.tile(self.sizes_N2, 2))
        return inside_N4

    @property
    def foreground_N(self) -> NDArray[np.bool_]:
        """False where the box is the whole image because nothing was found."""
        if "status" not in self.measured.column_names:
            return np.ones(len(self.images), bool)
        return ~mask(pc.equal(self.measured.column("status"), NO_FOREGROUND))

    @property
    def num_left_out(self) -> int:
        """How many images could not be read."""
        return len(self.unreadable)

    def of(self, rows: NDArray[np.int64]) -> "ExportRows":
        """Some of them."""
        return replace(
            self,
            images=_take(self.images, rows),
            boxes_N4=self.boxes_N4[rows],
            numbers_N=self.numbers_N[rows],
            measured=_take(self.measured, rows),
        )

    def of_split(self, split: str) -> "ExportRows":
        """Those of a split."""
        return self.of(np.flatnonzero(mask(pc.equal(self.images.column("split"), split))))

    def some(self, at_once: int = _AT_ONCE) -> Iterator["ExportRows"]:
        """All of them, so many at a time."""
        for start in range(0, len(self.images), at_once):
            yield self.of(np.arange(start, min(start + at_once, len(self.images))))


def export_rows(catalog: pa.Table, table: pa.Table) -> ExportRows:
    """Sort the rows of a boxes or predictions table into those that hold a box and those that do not.

    An image that could not be read has no box, or no size in the catalog. A box without area is a box: another project
    has to count it as wrong, too.

    Raises:
        UserError: an image is not in the catalog or there twice, or leaves the folder of images; or a box is inside
            out or not finite.
    """
    rows_N = catalog_rows(catalog, table, "table")
    check_rows(table, leaves_root(table.column("image_id")), "table", LEAVES_ROOT)
    catalog = catalog.select([name for name in catalog.column_names if name != "gt_boxes"])
    boxes_N4, images = boxes_array(table), _take(catalog, rows_N)
    without_box_N: NDArray[np.bool_] = np.all(np.isnan(boxes_N4), axis=1)
    check_bad_boxes(images, table, without_box_N, "table")
    readable_N = ~without_box_N & (image_sizes(images) > 0).all(axis=1)
    if "status" in table.column_names and "quality" not in table.column_names:
        # Of all rows at once: it is relative to the others, and formats are written a piece at a time.
        table = table.append_column("quality", pa.array(quality(table)))
    in_order = np.argsort(rows_N)
    kept, left_out = in_order[readable_N[in_order]], in_order[~readable_N[in_order]]
    unreadable = images.column("image_id").take(left_out).to_pylist()
    return ExportRows(_take(images, kept), boxes_N4[kept], unreadable, rows_N[kept], _take(table, kept))


def _take(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """Rows of a table; without a copy where they follow each other, as they mostly do."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return table.slice(int(rows[0]), len(rows))
    return table.take(rows)


@contextmanager
def exporting(folder: str | Path, catalog: pa.Table, table: pa.Table) -> Iterator[tuple[Path, ExportRows]]:
    """Give a folder to write to and the rows to write; add the list of unreadable images if there are any.

    The folder takes its name once the block ends without an exception, see `whole_folder`. The list makes a read of the
    folder complete: it tells an image that could not be read from one that was forgotten.

    Raises:
        UserError: the folder is taken, or the table does not fit the catalog.
    """
    rows = export_rows(catalog, table)
    with whole_folder(folder) as unfinished:
        yield unfinished, rows
        if rows.unreadable:
            with (unfinished / UNREADABLE_FILE).open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([["image_id"], *([name] for name in rows.unreadable)])


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """Give a sibling to write to, which takes the name of `folder` once the block ends without an exception.

    Raises:
        UserError: `folder` is a file, holds something, or is a URI.
    """
    target = Path(folder)
    if "://" in str(folder):
        raise UserError(f"{folder}: exports go to a local folder; export to one and copy it from there")
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise UserError(f"{folder}: found something there, expected a new or empty folder; give another one")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.parent / f".{target.name}.{uuid.uuid4().hex}.tmp"
    unfinished.mkdir()
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
