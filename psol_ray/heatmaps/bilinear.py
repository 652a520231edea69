"""The largest component of bilinearly upsampled heat, found without upsampling it.

Heat is linear along the pixel rows and columns of a cell (see `pixel_cells`), so no pixel has to be looked at alone:
the corner pixels of the cells are labelled (see `corner_labels`), a component's pixels are counted by cells where all
corners are positive and by columns where some are, and its outermost pixels lie on sides of cells. Nothing of this is
an approximation: boxes and areas are those of labelling every pixel.

Shape suffixes: those of `pixel_cells`; a, b stand for 2 where the axes may be swapped; L labels of the batch (0 is the
background); Q parts, what one label has of one cell; A pixel rows, or columns, through corner pixels.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from psol_ray.heatmaps.components import HeatBoxes, largest_components, largest_labels
from psol_ray.heatmaps.corner_labels import find_joined_saddles, label_corners
from psol_ray.heatmaps.pixel_cells import (
    Axis,
    CellIndex,
    ColumnRuns,
    Corners,
    count_positive,
    run_columns,
    sample_corners,
    split_axis,
)

__all__ = ["largest_upsampled_components"]


class _Parts(NamedTuple):
    """What labels have of cells: each part's map, label, pixels and sum of heat."""

    map_Q: NDArray[np.intp]
    label_Q: NDArray[np.int32]
    area_Q: NDArray[np.float64]
    heat_Q: NDArray[np.float64]


class _Labelled(NamedTuple):
    """The label of every corner pixel, and what is counted of each label."""

    corner_NR2C2: NDArray[np.int32]
    map_L: NDArray[np.intp]
    area_L: NDArray[np.float64]
    heat_L: NDArray[np.float64]


def largest_upsampled_components(heat_Nhw: NDArray[np.floating], size: int) -> HeatBoxes:
    """What `largest_components` finds in the heat upsampled to `size` x `size`.

    Maps with a value that is not finite, and those whose largest components tie, are upsampled: both are rare.
    """
    num_maps = len(heat_Nhw)
    finite_N = np.isfinite(heat_Nhw).all((1, 2))
    rows, columns = (split_axis(num_nodes, size) for num_nodes in heat_Nhw.shape[1:])
    corners = sample_corners(np.where(finite_N[:, None, None], heat_Nhw, 0), rows, columns)
    labelled = _label(corners, rows, columns)
    largest = largest_labels(labelled.map_L, labelled.area_L, num_maps)
    best_N = np.zeros(num_maps, np.intp)
    best_N[labelled.map_L[largest]] = largest
    found_N = best_N > 0
    area_N = np.where(found_N, labelled.area_L[best_N], 0)
    heat_N = np.where(found_N, labelled.heat_L[best_N], 0)
    boxes_N4 = _enclose(labelled.corner_NR2C2 == best_N.reshape(-1, 1, 1, 1, 1), corners, rows, columns)
    boxes_N4[~found_N] = (0, 0, 1, 1)
    heat_boxes = HeatBoxes(boxes_N4, found_N, area_N / size**2, heat_N / np.maximum(area_N, 1))

    is_tied_N = np.bincount(labelled.map_L[largest], minlength=num_maps) > 1
    redone = np.flatnonzero(is_tied_N | ~finite_N)
    if len(redone):
        heat_N1hw = torch.from_numpy(heat_Nhw[redone].astype(np.float64))[:, None]
        upsampled_N1HW = F.interpolate(heat_N1hw, (size, size), mode="bilinear", align_corners=False)
        for values_N, values in zip(heat_boxes, largest_components(upsampled_N1HW[:, 0].numpy()), strict=True):
            values_N[redone] = values
    return heat_boxes


def _label(corners: Corners, rows: Axis, columns: Axis) -> _Labelled:
    positive_NR2C2 = corners.heat_NR2C2 > 0
    top_left, top_right, bottom_left, bottom_right = (positive_NR2C2[:, :, i, :, j] for i in (0, 1) for j in (0, 1))
    full_NRC = top_left & top_right & bottom_left & bottom_right
    mixed_NRC = (top_left | top_right | bottom_left | bottom_right) & ~full_NRC
    saddle_NRC = mixed_NRC & (top_left == bottom_right) & (top_right == bottom_left)

    mixed = np.nonzero(mixed_NRC)
    runs = run_columns(corners, mixed, rows, columns)
    saddles = np.flatnonzero(saddle_NRC[mixed])
    is_joined = find_joined_saddles(runs.of(saddles), rows.num_K[mixed[1][saddles]])
    joined = tuple(index_M[saddles[is_joined]] for index_M in mixed)
    corner_NR2C2, num_labels = label_corners(corners.heat_NR2C2, joined, rows, columns)

    parts = [
        _full_parts(np.nonzero(full_NRC), corner_NR2C2, corners, rows, columns),
        *_mixed_parts(mixed, corner_NR2C2, runs, saddles[~is_joined]),
    ]
    map_Q, label_Q, area_Q, heat_Q = _Parts(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    map_L = np.zeros(num_labels, np.intp)
    map_L[label_Q] = map_Q
    sums_L = [np.asarray(np.bincount(label_Q, of_Q, minlength=num_labels), np.float64) for of_Q in (area_Q, heat_Q)]
    return _Labelled(corner_NR2C2, map_L, *sums_L)


def _full_parts(
    cells: CellIndex, corner_NR2C2: NDArray[np.int32], corners: Corners, rows: Axis, columns: Axis
) -> _Parts:
    """Cells that are positive everywhere: the mean of bilinear heat is that of its corners."""
    n, r, c = cells
    area_M = (rows.num_K[r] * columns.num_K[c]).astype(np.float64)
    return _Parts(n, corner_NR2C2[n, r, 0, c, 0], area_M, area_M * corners.heat_NR2C2[n, r, :, c].mean((1, 2)))


def _mixed_parts(
    cells: CellIndex, corner_NR2C2: NDArray[np.int32], runs: ColumnRuns, split: NDArray[np.intp]
) -> tuple[_Parts, _Parts]:
    """Cells with corners of both signs; of `split` saddles, whose two parts are not joined, the lower part apart."""
    n, r, c = cells
    label_M2 = corner_NR2C2[n, r, :, c].max(2)
    area_M, heat_M = runs.sums()
    of_split = runs.of(split)
    area_S, heat_S = of_split._replace(count_MP=of_split.count_MP * ~of_split.is_top_MP).sums()
    area_M[split] -= area_S
    heat_M[split] -= heat_S
    upper = _Parts(n, np.where(label_M2[:, 0] > 0, label_M2[:, 0], label_M2[:, 1]), area_M, heat_M)
    return upper, _Parts(n[split], label_M2[split, 1], area_S, heat_S)


def _enclose(inside_NR2C2: NDArray[np.bool_], corners: Corners, rows: Axis, columns: Axis) -> NDArray[np.float64]:
    """Boxes around the components whose corner pixels are `inside`, as fractions of the image."""
    x0_N, x1_N = _extent(inside_NR2C2, corners.heat_NR2C2, columns)
    order = (0, 3, 4, 1, 2)
    y0_N, y1_N = _extent(inside_NR2C2.transpose(order), corners.heat_NR2C2.transpose(order), rows)
    return np.stack([x0_N, y0_N, x1_N, y1_N], axis=1)


def _extent(
    inside_NRaCb: NDArray[np.bool_], heat_NRaCb: NDArray[np.float64], axis: Axis
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First pixel along the axis C, and one past the last, as fractions of the image."""
    shape = (len(inside_NRaCb), -1, len(axis.num_K), 2)
    inside_NAC2, heat_NAC2 = inside_NRaCb.reshape(shape), heat_NRaCb.reshape(shape)
    before_N = _count_before(inside_NAC2, heat_NAC2, axis.num_K)
    after_N = _count_before(inside_NAC2[:, :, ::-1, ::-1], heat_NAC2[:, :, ::-1, ::-1], axis.num_K[::-1])
    return before_N / axis.size, (axis.size - after_N) / axis.size


def _count_before(
    inside_NAC2: NDArray[np.bool_], heat_NAC2: NDArray[np.float64], num_C: NDArray[np.intp]
) -> NDArray[np.float64]:
    """How many pixels lie before each component along C."""
    n = np.arange(len(inside_NAC2))
    first_N = inside_NAC2.any(1).reshape(len(n), -1).argmax(1)
    cell_N, is_end_N = first_N // 2, first_N % 2 == 1
    begin_NA, end_NA = heat_NAC2[n, :, cell_N, 0], heat_NAC2[n, :, cell_N, 1]
    # Where the first corner pixel is the last of its cell, runs of pixels reach back from it into the cell.
    run_NA = count_positive(end_NA, end_NA - begin_NA, num_C[cell_N, None]) * inside_NAC2[n, :, cell_N, 1]
    until_N = np.cumsum(num_C)[cell_N]
    return until_N - np.where(is_end_N, run_NA.max(1), num_C[cell_N])
