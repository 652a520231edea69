"""Boxes that were read from elsewhere: whether they fit the catalog, and as a boxes table."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.evaluation.join import check_rows, mask
from psol_ray.geometry.boxes import area
from psol_ray.tables.schemas import BOXES, NO_FOREGROUND, OK, UNREADABLE, box_columns, boxes_array

__all__ = ["Found", "boxes_table", "hash_boxes"]

_SLACK = 0.5  # pixels by which a corner that was rounded may lie outside; it is moved to the border


@dataclass(frozen=True)
class Found:
    """M boxes, each of a row of the catalog, in pixels of the original image."""

    rows_M: NDArray[np.int64]
    boxes_M4: NDArray[np.float64]
    foreground_M: NDArray[np.bool_]  # false where nothing was found and the box is the whole image


def boxes_table(catalog: pa.Table, found: Found, source: str) -> pa.Table:
    """Rows of a boxes table, in the catalog's order: every image of a split or none, as `psol evaluate` wants it.

    An image without a size in the catalog is unreadable, with a box or without.

    Args:
        catalog: `CATALOG`.
        source: where the boxes were found, for messages.

    Raises:
        UserError: an image has several boxes; a box is not finite, inside out or outside its image; a split has
            boxes for a part of its images, or neither has any.
    """
    sizes_N2 = np.stack([catalog.column(name).to_numpy() for name in ("width", "height")], axis=1).astype(np.float64)
    readable_N: NDArray[np.bool_] = np.all(sizes_N2 > 0, axis=1)
    _check_bad_boxes(catalog, found, sizes_N2, source)
    boxed_N = np.zeros(len(catalog), bool)
    boxed_N[found.rows_M] = True
    kept_N = _complete_splits(catalog, boxed_N, readable_N, source)

    boxes_N4, foreground_N = np.full((len(catalog), 4), np.nan), np.ones(len(catalog), bool)
    boxes_N4[found.rows_M], foreground_N[found.rows_M] = found.boxes_M4, found.foreground_M
    boxes_N4 = np.where(readable_N[:, None], np.clip(boxes_N4, 0, np.tile(sizes_N2, 2)), np.nan)
    unknown_N = np.full(len(catalog), np.nan, np.float32)
    columns = {
        **{name: catalog.column(name) for name in ("image_id", "label", "width", "height")},
        **box_columns(boxes_N4),
        "status": np.where(readable_N, np.where(foreground_N, OK, NO_FOREGROUND), UNREADABLE),
        "area_fraction": (area(boxes_N4) / np.maximum(sizes_N2.prod(axis=1), 1)).astype(np.float32),
        **dict.fromkeys(("mean_heat", "explained_variance_ratio", "sign_margin"), unknown_N),
    }
    return pa.table(columns).cast(BOXES).filter(pa.array(kept_N))


def _check_bad_boxes(catalog: pa.Table, found: Found, sizes_N2: NDArray[np.float64], source: str) -> None:
    rows, counts = np.unique(found.rows_M, return_counts=True)
    check_rows(catalog.take(rows), counts > 1, source, "with more than one box; leave one for each image")
    images = catalog.take(found.rows_M)
    lost_M = ~np.all(np.isfinite(found.boxes_M4), axis=1)
    check_rows(images, lost_M, source, "with a box that is not finite; expected four numbers, fix or remove it")
    inside_out_M = np.any(found.boxes_M4[:, 2:] < found.boxes_M4[:, :2], axis=1)
    check_rows(images, inside_out_M, source, "with a box that is inside out; swap its corners or remove it")
    ends_M4 = np.tile(sizes_N2[found.rows_M], 2)
    beyond_M = np.any((found.boxes_M4 < -_SLACK) | (found.boxes_M4 > ends_M4 + _SLACK), axis=1)
    outside_M = beyond_M & np.all(ends_M4 > 0, axis=1)
    check_rows(images, outside_M, source, "with a box that reaches outside; expected pixels of the image as stored")


def _complete_splits(
    catalog: pa.Table, boxed_N: NDArray[np.bool_], readable_N: NDArray[np.bool_], source: str
) -> NDArray[np.bool_]:
    """Which images belong to a split that has boxes."""
    if not boxed_N.any():
        raise UserError(f"{source}: found no box, expected one for each of {len(catalog)} images; give another source")
    kept_N = np.zeros(len(catalog), bool)
    for split in ("train", "test"):
        here_N = mask(pc.equal(catalog.column("split"), split))
        if (here_N & boxed_N).any():
            complaint = f"of {here_N.sum()} {split} images without a box; add them, or remove that split's boxes"
            check_rows(catalog, here_N & readable_N & ~boxed_N, source, complaint)
            kept_N |= here_N
    return kept_N


def hash_boxes(boxes: pa.Table) -> str:
    """16 hex digits that are equal for equal images, boxes and states, wherever they come from."""
    digest = hashlib.sha256()
    for name in ("image_id", "status"):
        digest.update("\0".join(boxes.column(name).to_pylist()).encode())
    digest.update(boxes_array(boxes).astype("<f4").tobytes())
    return digest.hexdigest()[:16]
