"""Single ground-truth boxes that cannot be right: inside out, or nowhere in their images.

Shape suffixes: N images, M boxes, 4 = as given, or (x0, y0, x1, y1), 2 = (width, height) of the box's image.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.errors import UserError, abbreviate
from psol_ray.geometry.readings import Reading
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.schemas import CATALOG

__all__ = ["check_each", "flat_boxes", "leave_out_odd", "with_boxes"]

# ImageNet's training images have some of either kind among 544,546, which nobody who downloads them can be asked to
# mend. More have been made by somebody. In a table of one's own even one is a slip of the pen.
_MOST = 0.01
_SHOWN = 3

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]


def flat_boxes(catalog: pa.Table) -> tuple[NDArray[np.int64], Numbers]:
    """The row of the image of each box, and its numbers."""
    lists = catalog.column("gt_boxes")
    counts_N = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), np.int64)
    numbers = np.asarray(pc.list_flatten(pc.list_flatten(lists)), np.float64)
    return np.repeat(np.arange(len(catalog)), counts_N), numbers.reshape(-1, 4)


def with_boxes(catalog: pa.Table, row_M: NDArray[np.int64], boxes_M4: Numbers) -> pa.Table:
    """The catalog with these boxes, in the order of its rows, in place of its own."""
    list_type = CATALOG.field("gt_boxes").type
    boxes = pa.FixedSizeListArray.from_arrays(pa.array(boxes_M4.astype(np.float32).ravel()), type=list_type.value_type)
    counts_N = np.bincount(row_M, minlength=len(catalog))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts_N)]).astype(np.int32))
    column = pa.ListArray.from_arrays(offsets, boxes, type=list_type)
    return catalog.set_column(catalog.column_names.index("gt_boxes"), CATALOG.field("gt_boxes"), column)


def check_each(
    catalog: pa.Table, row_M: NDArray[np.int64], numbers_M4: Numbers, reading: Reading, source: str, *, area: bool
) -> None:
    """Raise a UserError where single boxes are inside out, or do not meet their images.

    Args:
        catalog: schema `CATALOG`.
        row_M: of each box's image.
        numbers_M4: as given.
        reading: what they mean.
        source: where they were found, for the message.
        area: whether a box has to have one; where corners name the last pixel, a box of one pixel has none.
    """
    inside_out_M, outside_M = _odd(numbers_M4, image_sizes(catalog)[row_M], reading, area=area)
    for odd_M, found, advice in (
        (
            inside_out_M,
            "that are inside out",
            f"expected {'an area, x0 < x1 and y0 < y1' if area else 'x0 <= x1 and y0 <= y1'}; swap their corners or"
            " remove them",
        ),
        (outside_M, "that lie outside their images", "expected boxes of these very images; fix or remove them"),
    ):
        if odd_M.any():
            shown = _shown(catalog, row_M[odd_M], numbers_M4[odd_M], sizes=odd_M is outside_M)
            raise UserError(f"{source}: found {odd_M.sum()} boxes {found} ({shown}), {advice}")


def _odd(numbers_M4: Numbers, sizes_M2: NDArray[np.int64], reading: Reading, *, area: bool) -> tuple[Mask, Mask]:
    """Which boxes are inside out, and which do not meet their images, where these have a size."""
    corners_M4 = reading.corners(numbers_M4)
    starts_M2, ends_M2 = corners_M4[:, :2], corners_M4[:, 2:]
    inside_out_M2 = ends_M2 <= starts_M2 if area else ends_M2 < starts_M2
    far_M2 = sizes_M2 if reading.side is None else np.full_like(sizes_M2, reading.side)
    outside_M2 = (starts_M2 >= far_M2) | (ends_M2 <= 0 if area else ends_M2 < 0)
    sized_M = (sizes_M2 > 0).all(axis=1)
    return np.asarray(inside_out_M2.any(axis=1)), np.asarray(outside_M2.any(axis=1) & sized_M)


def _shown(catalog: pa.Table, row_M: NDArray[np.int64], numbers_M4: Numbers, *, sizes: bool) -> str:
    """`900, 900, 950, 950 of a.jpg with 640 x 480`, of a few."""
    words = []
    for row, numbers in zip(row_M[:_SHOWN].tolist(), numbers_M4, strict=False):
        image_id, width, height = (catalog.column(name)[row].as_py() for name in ("image_id", "width", "height"))
        words.append(f"{', '.join(f'{number:g}' for number in numbers)} of {image_id}")
        words[-1] += f" with {width} x {height}" if sizes else ""
    return abbreviate([*words, *[""] * (len(row_M) - len(words))], _SHOWN)


def leave_out_odd(catalog: pa.Table, reading: Reading, *, area: bool) -> tuple[pa.Table, str, bool]:
    """The catalog without boxes that are inside out or do not meet their images, what is to be said of them, and
    whether they are more than a few.

    Args:
        catalog: schema `CATALOG`, boxes as given.
        reading: what they mean.
        area: as of `check_each`.
    """
    row_M, numbers_M4 = flat_boxes(catalog)
    odd_M = np.logical_or(*_odd(numbers_M4, image_sizes(catalog)[row_M], reading, area=area))
    if not odd_M.any():
        return catalog, "", False
    shown = _shown(catalog, row_M[odd_M], numbers_M4[odd_M], sizes=True)
    words = f"left out {odd_M.sum():,} of {len(odd_M):,} boxes that are inside out or outside their images ({shown})"
    return with_boxes(catalog, row_M[~odd_M], numbers_M4[~odd_M]), words, bool(odd_M.sum() > _MOST * len(odd_M))
