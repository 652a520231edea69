"""Which image of the catalog a row of another table is about, and checks of tables that do not fit it."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.errors import UserError, abbreviate
from psol_ray.evaluation.ground_truth import GroundTruth
from psol_ray.geometry.units import check_units
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.schemas import boxes_array

__all__ = [
    "catalog_rows",
    "check_bad_boxes",
    "check_bad_truth",
    "check_incomplete",
    "check_rows",
    "count_images",
    "mask",
    "of_split",
]


def count_images(table: pa.Table) -> str:
    """`2 images (a.jpg, b.jpg)`: how many rows there are, and the first names."""
    names = table.column("image_id").to_pylist()
    return f"{len(names)} image{'s' if len(names) != 1 else ''} ({abbreviate(names)})"


def of_split(images: pa.Table, split: str) -> pa.Table:
    """The rows of a catalog, or of a scores table, that are of this split."""
    return images.filter(pc.equal(images.column("split"), split))


def mask(condition: pa.ChunkedArray) -> NDArray[np.bool_]:
    """A column of booleans as NumPy; null is false."""
    return np.asarray(pc.fill_null(condition, False), bool)


def catalog_rows(catalog: pa.Table, table: pa.Table, name: str) -> NDArray[np.int64]:
    """The catalog's row of each row of `table`.

    Args:
        name: what the table is, for messages.

    Raises:
        UserError: an image is there twice, in either table, or is not in the catalog.
    """
    _check_repeated(catalog, "catalog")
    if not len(table):
        return np.zeros(0, np.int64)
    rows = pc.index_in(table.column("image_id"), value_set=catalog.column("image_id").combine_chunks())
    check_rows(table, mask(pc.is_null(rows)), name, "not in the catalog; make both from the same data")
    rows_N = np.asarray(rows, np.int64)
    if np.bincount(rows_N).max() > 1:
        _check_repeated(table, name)
    return rows_N


def check_rows(table: pa.Table, bad_N: NDArray[np.bool_], name: str, complaint: str) -> None:
    """Raise a UserError where any row is bad: `NAME: 2 images (a.jpg, b.jpg) COMPLAINT`."""
    if bad_N.any():
        raise UserError(f"{name}: {count_images(table.filter(pa.array(bad_N)))} {complaint}")


def _check_repeated(table: pa.Table, name: str) -> None:
    """Raise a UserError where an image has more than one row."""
    ids = table.column("image_id")
    if len(pc.unique(ids)) == len(table):  # count_distinct takes twice the memory, and four times as long
        return
    counts = pc.value_counts(ids)
    repeated = pa.table({"image_id": counts.field("values")}).filter(pc.greater(counts.field("counts"), 1))
    raise UserError(f"{name}: {count_images(repeated)} more than once; each image has one row")


def check_incomplete(images: pa.Table, table: pa.Table, name: str) -> None:
    """Raise a UserError where an image of `images` has no row in `table`; `name` is `TABLE of SPLIT`."""
    absent_N = ~mask(pc.is_in(images.column("image_id"), value_set=table.column("image_id").combine_chunks()))
    complaint = f"of {len(images)} missing; run that stage to its end on this catalog"
    check_rows(images, absent_N, name, complaint)


def _check_inside_out(table: pa.Table, name: str) -> None:
    """Raise a UserError where a box ends before it begins; a box without area is a box, and so is NaN."""
    boxes_N4 = boxes_array(table)
    bad_N = np.any(boxes_N4[:, 2:] < boxes_N4[:, :2], axis=1)
    check_rows(table, bad_N, name, "with a box that is inside out; expected x0 <= x1 and y0 <= y1")


def check_bad_boxes(images: pa.Table, table: pa.Table, unreadable_N: NDArray[np.bool_], name: str) -> None:
    """Raise a UserError where boxes are not in pixels, one is inside out, or is NaN though its image could be read.

    Args:
        images: the catalog's rows of the images of `table`, in the same order.
        unreadable_N: whose box has to be NaN.
        name: what the table is, for messages.
    """
    boxes_N4 = boxes_array(table)
    check_units(boxes_N4, image_sizes(images), "pixels", name, None)
    _check_inside_out(table, name)
    lost_N = ~unreadable_N & ~np.isfinite(boxes_N4).all(axis=1)
    check_rows(table, lost_N, name, "readable, but with a box that is not finite; only an unreadable one is NaN")
    boxed_N = unreadable_N & ~np.isnan(boxes_N4).all(axis=1)
    check_rows(table, boxed_N, name, "unreadable, and yet with a box; that of an unreadable image is NaN")


def check_bad_truth(images: pa.Table, truth: GroundTruth) -> None:
    """Raise a UserError where ground-truth boxes are not in pixels, or one is not finite, or inside out."""
    image_M = np.repeat(np.arange(len(images)), truth.counts_N)
    check_units(truth.boxes_M4, image_sizes(images)[image_M], "pixels", "ground truth of the catalog", None)
    bad_M = ~np.isfinite(truth.boxes_M4).all(axis=1) | np.any(truth.boxes_M4[:, 2:] < truth.boxes_M4[:, :2], axis=1)
    bad_N = np.zeros(len(images), bool)
    bad_N[image_M[bad_M]] = True
    complaint = (
        "with a ground-truth box that is not finite or inside out; fix the annotations, and run"
        " `psol index --overwrite`"
    )
    check_rows(images, bad_N, "catalog", complaint)
