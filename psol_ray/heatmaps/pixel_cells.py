"""Where the pixels of a bilinearly upsampled map lie between the map's nodes, and their heat.

Four neighbouring nodes span a cell. Padded by edge replication, the map is a grid of cells that covers every pixel,
and within one the heat of the pixels is bilinear: linear along a row and along a column of pixels.

Shape suffixes: N maps; K cells along an axis (R down, C across); 2 the first and the last pixel of a cell, down or
across; P pixels of the widest cell; M some of the cells of the batch.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Axis",
    "CellIndex",
    "ColumnRuns",
    "Corners",
    "count_positive",
    "run_columns",
    "sample_corners",
    "split_axis",
]

# Which map, which row and which column of cells, as `np.nonzero` gives them.
CellIndex = tuple[NDArray[np.intp], ...]

# The divisor where values are equal, all positive or none, instead of zero; far below differences of float32 heat.
_FLAT = 1e-60


@dataclass(frozen=True)
class Axis:
    """The cells along one axis, without those too narrow for a pixel.

    `node_K` is a cell's lower node in the padded map, `start_K` its first pixel of `size`, `fraction_KP` where between
    its nodes each pixel lies; beyond `num_K` pixels the last one is repeated and `inside_KP` is 0.
    """

    size: int
    node_K: NDArray[np.intp]
    start_K: NDArray[np.intp]
    num_K: NDArray[np.intp]
    fraction_KP: NDArray[np.float64]
    inside_KP: NDArray[np.float64]

    @property
    def ends_K2(self) -> NDArray[np.float64]:
        """Where between its nodes a cell's first and last pixels lie."""
        return self.fraction_KP[:, [0, -1]]


@lru_cache(maxsize=64)
def split_axis(num_nodes: int, size: int) -> Axis:
    """`size` pixels over `num_nodes` nodes, as `interpolate(align_corners=False)` lays them."""
    source_p = (np.arange(size) + 0.5) * num_nodes / size - 0.5
    node_p = np.floor(source_p).astype(np.intp)
    node_K, start_K, num_K = np.unique(node_p, return_index=True, return_counts=True)
    step_P = np.arange(num_K.max())
    pixel_KP = start_K[:, None] + np.minimum(step_P, num_K[:, None] - 1)
    fraction_KP = source_p[pixel_KP] - node_K[:, None]
    return Axis(size, node_K + 1, start_K, num_K, fraction_KP, (step_P < num_K[:, None]).astype(np.float64))


class Corners(NamedTuple):
    """Heat at the corner pixels of every cell, and what the pixel rows through them are made of.

    `left_NR2C` is the heat at the left nodes' place in a cell's first and last pixel row, `rise_NR2C` how much more it
    is at the right nodes'.
    """

    heat_NR2C2: NDArray[np.float64]
    left_NR2C: NDArray[np.float64]
    rise_NR2C: NDArray[np.float64]


def sample_corners(heat_Nhw: NDArray[np.floating], rows: Axis, columns: Axis) -> Corners:
    """Interpolates at the corner pixels alone; float64, which no finite float32 heat overflows."""
    padded = np.pad(heat_Nhw.astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="edge")
    above_NRw = padded[:, rows.node_K]
    below_NRw = padded[:, rows.node_K + 1]
    rows_NR2w = above_NRw[:, :, None] + (below_NRw - above_NRw)[:, :, None] * rows.ends_K2[:, :, None]
    left_NR2C = rows_NR2w[..., columns.node_K]
    rise_NR2C = rows_NR2w[..., columns.node_K + 1] - left_NR2C
    return Corners(left_NR2C[..., None] + rise_NR2C[..., None] * columns.ends_K2, left_NR2C, rise_NR2C)


def count_positive(
    high: NDArray[np.float64], fall: NDArray[np.float64], num: NDArray[np.integer]
) -> NDArray[np.float64]:
    """How many of `num` equally spaced values, from `high` down to `high - fall`, both included, are above zero."""
    count = np.maximum(fall, _FLAT)
    np.divide(high, count, out=count)
    count *= np.maximum(num - 1, 1)
    np.ceil(count, out=count)
    np.maximum(count, 0, out=count)
    return np.minimum(count, num, out=count)


class ColumnRuns(NamedTuple):
    """The positive pixels of each pixel column of some cells: a run from the end where the heat is higher.

    `count_MP` is a run's length, `mean_MP` its mean heat (meaningless where it is empty); `is_top_MP` says whether the
    column's first pixel is positive.
    """

    count_MP: NDArray[np.float64]
    mean_MP: NDArray[np.float64]
    is_top_MP: NDArray[np.bool_]

    def of(self, cells: NDArray[np.intp]) -> "ColumnRuns":
        """Those of some of the cells."""
        return ColumnRuns(self.count_MP[cells], self.mean_MP[cells], self.is_top_MP[cells])

    def sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Each cell's number of positive pixels and the sum of their heat."""
        return self.count_MP.sum(1), np.einsum("mp,mp->m", self.count_MP, self.mean_MP)


def run_columns(corners: Corners, cells: CellIndex, rows: Axis, columns: Axis) -> ColumnRuns:
    """Runs in closed form; in place where it can be, for fresh memory costs more here than arithmetic does."""
    n_M, r_M, c_M = cells
    left_2M1 = corners.left_NR2C[n_M, r_M, :, c_M].T[..., None]
    rise_2M1 = corners.rise_NR2C[n_M, r_M, :, c_M].T[..., None]
    num_M1 = rows.num_K[r_M][:, None]
    low_MP = columns.fraction_KP[c_M]
    top_MP = low_MP * rise_2M1[0]
    top_MP += left_2M1[0]
    low_MP *= rise_2M1[1]
    low_MP += left_2M1[1]
    is_top_MP = top_MP > 0
    high_MP = np.maximum(top_MP, low_MP)
    np.minimum(top_MP, low_MP, out=low_MP)
    fall_MP = np.subtract(high_MP, low_MP, out=low_MP)
    count_MP = count_positive(high_MP, fall_MP, num_M1)
    count_MP *= columns.inside_KP[c_M]
    # Linear: the mean of a run is midway between its first pixel and its last.
    fall_MP *= 0.5 / np.maximum(num_M1 - 1, 1)
    fall_MP *= count_MP - 1
    return ColumnRuns(count_MP, np.subtract(high_MP, fall_MP, out=high_MP), is_top_MP)
