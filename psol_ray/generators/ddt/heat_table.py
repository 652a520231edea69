"""The heat of a class's images as a table: a byte a cell, enough to be looked at."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.tables.schemas import HEAT

__all__ = ["heat_table"]

_HIGHEST = 127


def heat_table(images: pa.Table, heat_Mhw: NDArray[np.float32], ok_N: NDArray[np.bool_]) -> pa.Table:
    """Make the rows of N images, schema `HEAT`.

    Args:
        images: catalog rows.
        heat_Mhw: oriented heat, above 0 where object is, of those M images that could be read.
        ok_N: which these are.
    """
    _, height, width = heat_Mhw.shape
    scale_N = np.zeros(len(images), np.float32)
    scale_M = np.abs(heat_Mhw).max(axis=(1, 2), initial=0) / _HIGHEST
    scale_N[ok_N] = scale_M
    values_Mhw = np.rint(heat_Mhw / np.where(scale_M > 0, scale_M, 1)[:, None, None]).astype(np.int8)
    ends = np.concatenate([[0], np.cumsum(np.where(ok_N, height * width, 0))]).astype(np.int32)
    columns = {
        "image_id": images["image_id"],
        "height": np.where(ok_N, height, 0).astype(np.int16),
        "width": np.where(ok_N, width, 0).astype(np.int16),
        "scale": scale_N,
        "values": pa.ListArray.from_arrays(ends, values_Mhw.ravel()),
    }
    return pa.table(columns).cast(HEAT)
