"""8-connected components of upsampled heat, told from the corner pixels of its cells.

Every positive pixel of a cell is joined within the cell to a positive corner pixel: heat is linear along the cell's
rows and columns. So labels of the corner pixels are labels of all pixels, if they are joined where the pixels are:

- the two corners of a side: if both are positive, for then so is all of the side;
- opposite corners of a saddle, a cell whose two other corners are not positive: if the runs of positive pixels in
  neighbouring columns touch all the way;
- the two sides of a border between cells: at its ends, where corner pixels touch, or along it, if a run from the one
  end of the one side touches a run from the other end of the other side.

Shape suffixes: those of `pixel_cells`; a, b stand for 2 where the axes may be swapped.
"""

import numpy as np
from numpy.typing import NDArray

from psol_ray.heatmaps.components import label_masks
from psol_ray.heatmaps.pixel_cells import Axis, CellIndex, ColumnRuns, count_positive

__all__ = ["find_joined_saddles", "label_corners"]


def find_joined_saddles(runs: ColumnRuns, num_M: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Of saddles' columns, whether the runs touch where they change from the one end to the other.

    Args:
        runs: columns of saddles alone.
        num_M: pixels in a column.
    """
    count_MP, _, is_top_MP = runs
    changes_MP = is_top_MP[:, 1:] != is_top_MP[:, :-1]
    # Runs from opposite ends touch, corner to corner at least, unless there are pixels left between their rows.
    touches_MP = count_MP[:, 1:] + count_MP[:, :-1] >= num_M[:, None]
    return (touches_MP | ~changes_MP).all(1)


def label_corners(
    heat_NR2C2: NDArray[np.float64], joined_saddles: CellIndex, rows: Axis, columns: Axis
) -> tuple[NDArray[np.int32], int]:
    """Labels of the corner pixels, numbered across the batch, and the number of labels, the background's too.

    Drawn as 3 x 3 pixels a cell: its corners, and between them what joins them. Corners of neighbouring cells touch as
    their pixels do.
    """
    num_maps, num_R, _, num_C, _ = heat_NR2C2.shape
    positive_NR2C2 = heat_NR2C2 > 0
    drawn_NR3C3 = np.zeros((num_maps, num_R, 3, num_C, 3), np.uint8)
    drawn_NR3C3[:, :, ::2, :, ::2] = positive_NR2C2
    drawn_NR3C3[:, :, 1, :, ::2] = positive_NR2C2[:, :, 0] & positive_NR2C2[:, :, 1]
    drawn_NR3C3[:, :, ::2, :, 1] = positive_NR2C2[..., 0] & positive_NR2C2[..., 1]
    n, r, c = joined_saddles
    drawn_NR3C3[n, r, 1, c, 1] = 1
    # The middle of a side touches, across the border, all that such a border joins, and nothing else but the side.
    n, r, c = _find_joined_borders(heat_NR2C2, rows)
    drawn_NR3C3[n, r, 1, c, 2] = 1
    n, c, r = _find_joined_borders(heat_NR2C2.transpose(0, 3, 4, 1, 2), columns)
    drawn_NR3C3[n, r, 2, c, 1] = 1
    labels, num_labels = label_masks(drawn_NR3C3.reshape(num_maps, num_R * 3, num_C * 3))
    return labels.reshape(drawn_NR3C3.shape)[:, :, ::2, :, ::2], num_labels


def _find_joined_borders(heat_NRaCb: NDArray[np.float64], rows: Axis) -> CellIndex:
    """The cells whose border to the next cell along C joins runs from opposite ends."""
    near_NRaC, far_NRaC = heat_NRaCb[:, :, :, :-1, 1], heat_NRaCb[:, :, :, 1:, 0]
    near, far = near_NRaC > 0, far_NRaC > 0
    opposite_NRC = (near[:, :, 0] != near[:, :, 1]) & (near[:, :, 0] == far[:, :, 1]) & (near[:, :, 1] == far[:, :, 0])
    n, r, c = np.nonzero(opposite_NRC)
    sides_M2 = near_NRaC[n, r, :, c], far_NRaC[n, r, :, c]
    lengths = [count_positive(side.max(1), np.ptp(side, axis=1), rows.num_K[r]) for side in sides_M2]
    joined = lengths[0] + lengths[1] >= rows.num_K[r]
    return n[joined], r[joined], c[joined]
