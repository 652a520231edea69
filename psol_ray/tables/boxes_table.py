"""Builds the boxes table, whoever drew the boxes, and the arrays of image sizes that go with it.

Shape suffixes: N images, 4 = (x0, y0, x1, y1) in pixels of the original image, 2 = (width, height) in pixels.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.tables.schemas import BOXES, box_columns

__all__ = ["area_fractions", "boxes_table", "image_sizes"]

_OF_THE_IMAGE = ("image_id", "label", "width", "height")
Measured = NDArray[np.floating] | float


def boxes_table(
    images: pa.Table,
    boxes_N4: NDArray[np.floating],
    status_N: NDArray[np.object_] | NDArray[np.str_],
    *,
    area_fraction: Measured = np.nan,
    mean_heat: Measured = np.nan,
    explained_variance_ratio: Measured = np.nan,
    sign_margin: Measured = np.nan,
) -> pa.Table:
    """Build the rows of the boxes table, schema `BOXES`, in the order of `images`.

    Args:
        images: N rows of the catalog, or of any table with its `image_id`, `label`, `width` and `height`.
        boxes_N4: rounded to float32; NaN for an image that cannot be read.
        status_N: `OK`, `NO_FOREGROUND`, `UNREADABLE` or `MISSING`.
        area_fraction, mean_heat, explained_variance_ratio, sign_margin: what was measured of each box, shape (N,), or
            one number for all; NaN where it was not measured.
    """
    measured = {
        "area_fraction": area_fraction,
        "mean_heat": mean_heat,
        "explained_variance_ratio": explained_variance_ratio,
        "sign_margin": sign_margin,
    }
    columns = {
        **{name: images.column(name) for name in _OF_THE_IMAGE},
        **box_columns(boxes_N4),
        "status": pa.array(status_N, pa.string()),
        **{name: np.broadcast_to(np.asarray(values, np.float32), (len(images),)) for name, values in measured.items()},
    }
    return pa.table(columns).cast(BOXES)


def image_sizes(images: pa.Table) -> NDArray[np.int64]:
    """Return (width, height) in pixels of each image: shape (N, 2), 0 where the image cannot be read."""
    return np.stack([np.asarray(images.column(name), np.int64) for name in ("width", "height")], axis=1)


def area_fractions(boxes_N4: NDArray[np.floating], sizes_N2: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the share of its image's area that each box covers: shape (N,), NaN for a box that is NaN.

    A box that is inside out covers nothing, and an image without a size counts as one pixel.
    """
    sides_N2 = np.clip(np.asarray(boxes_N4, np.float64)[:, 2:] - boxes_N4[:, :2], 0, None)
    areas_N: NDArray[np.float64] = sides_N2.prod(axis=1) / np.maximum(sizes_N2.prod(axis=1), 1)
    return areas_N
