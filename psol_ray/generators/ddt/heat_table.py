"""The heat of a class's images as a table: a byte a cell, enough to be looked at."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.tables.schemas import HEAT

__all__ = ["heat_table"]

_HIGHEST = 127
# Images at a time: of a million, copies in float32 would take gigabytes, and offsets in 32 bits would not reach.
_AT_ONCE = 4096


def heat_table(images: pa.Table, heat_Mhw: NDArray[np.float32], ok_N: NDArray[np.bool_]) -> pa.Table:
    """Make the rows of N images, schema `HEAT`.

    Args:
        images: catalog rows.
        heat_Mhw: oriented heat, above 0 where object is, of those M images that could be read.
        ok_N: which these are.
    """
    _, height, width = heat_Mhw.shape
    before_N = np.concatenate([[0], np.cumsum(ok_N)])
    pieces = [slice(start, min(start + _AT_ONCE, len(ok_N))) for start in range(0, len(ok_N), _AT_ONCE)]
    values = [_as_bytes(heat_Mhw[before_N[some.start] : before_N[some.stop]], ok_N[some]) for some in pieces]
    columns = {
        "image_id": images["image_id"],
        "height": np.where(ok_N, height, 0).astype(np.int16),
        "width": np.where(ok_N, width, 0).astype(np.int16),
        "values": pa.chunked_array(values, pa.binary()),
    }
    return pa.table(columns).cast(HEAT)


def _as_bytes(heat_Mhw: NDArray[np.float32], ok_N: NDArray[np.bool_]) -> pa.Array:
    highest_M = np.abs(heat_Mhw).max(axis=(1, 2), initial=0)
    scale_M = _HIGHEST / np.where(highest_M > 0, highest_M, 1)
    values_Mhw = np.rint(heat_Mhw * scale_M[:, None, None]).astype(np.int8)
    ends = np.concatenate([[0], np.cumsum(ok_N * np.prod(heat_Mhw.shape[1:]))]).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(ok_N), [None, pa.py_buffer(ends), pa.py_buffer(values_Mhw)])
