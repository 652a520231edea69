"""The largest 8-connected component of every map of a batch, labelled in one go.

Shape suffixes: N maps of h x w, L labels of the whole batch (0 is the background), F = all cells of the batch.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["HeatBoxes", "label_masks", "largest_components", "largest_labels"]


class HeatBoxes(NamedTuple):
    """One box a heat map.

    `boxes_N4` is `(x0, y0, x1, y1)` as fractions of the image, float64; where nothing is above zero `found_N` is
    False and the box is the whole image.
    """

    boxes_N4: NDArray[np.float64]
    found_N: NDArray[np.bool_]
    area_fraction_N: NDArray[np.float64]
    mean_heat_N: NDArray[np.float64]


def largest_components(heat_Nhw: NDArray[np.floating]) -> HeatBoxes:
    """The extent of the largest component strictly above zero of each map; of equals, of that met first row by row."""
    num_maps, height, width = heat_Nhw.shape
    labels_Nhw, num_labels = label_masks(heat_Nhw > 0)
    labels_F = labels_Nhw.reshape(-1)
    area_L = np.bincount(labels_F, minlength=num_labels)
    # Assigned backwards, so that a label keeps its first cell: OpenCV numbers labels in blocks of two rows.
    first_L = np.zeros(num_labels, np.intp)
    first_L[labels_F[::-1]] = np.arange(len(labels_F) - 1, -1, -1)
    map_L = first_L // max(height * width, 1)
    largest = largest_labels(map_L, area_L, num_maps)
    largest = largest[np.argsort(-first_L[largest])]
    best_N = np.zeros(num_maps, np.intp)
    best_N[map_L[largest]] = largest

    found_N = best_N > 0
    inside_Nhw = (labels_Nhw == best_N[:, None, None]) & found_N[:, None, None]
    area_N = np.where(found_N, area_L[best_N], 0)
    heat_N = np.sum(heat_Nhw, axis=(1, 2), where=inside_Nhw, dtype=np.float64)
    boxes_N4 = np.stack([*_extent(inside_Nhw.any(1)), *_extent(inside_Nhw.any(2))], axis=1)[:, [0, 2, 1, 3]]
    boxes_N4 = boxes_N4 / [width, height, width, height]
    boxes_N4[~found_N] = (0, 0, 1, 1)
    return HeatBoxes(boxes_N4, found_N, area_N / (height * width), heat_N / np.maximum(area_N, 1))


def label_masks(mask_Nhw: NDArray[np.bool_] | NDArray[np.uint8]) -> tuple[NDArray[np.int32], int]:
    """8-connected components of every mask, numbered across the batch, and the number of labels, the background's too.

    One call for all masks, with an empty row below each: a call for each would cost more than the labelling.
    """
    num_masks, height, width = mask_Nhw.shape
    stack_Nhw = np.zeros((num_masks, height + 1, width), np.uint8)
    stack_Nhw[:, :height] = mask_Nhw
    num_labels, labels = cv2.connectedComponents(stack_Nhw.reshape(-1, width), connectivity=8, ltype=cv2.CV_32S)
    return np.asarray(labels, np.int32).reshape(stack_Nhw.shape)[:, :height], num_labels


def largest_labels(
    map_L: NDArray[np.intp], area_L: NDArray[np.integer] | NDArray[np.floating], num_maps: int
) -> NDArray[np.intp]:
    """The labels that no other of their map exceeds in area: one a map, more where they tie, none where all are empty.

    Args:
        map_L: which map a label belongs to; the background's is ignored.
        area_L: pixels.
        num_maps: of the batch.
    """
    area_L = area_L.copy()
    area_L[0] = 0
    most_N = np.ones(num_maps, area_L.dtype)
    np.maximum.at(most_N, map_L, area_L)
    return np.flatnonzero(area_L == most_N[map_L])


def _extent(profile_Np: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First True of each row, and one past the last."""
    return profile_Np.argmax(1), profile_Np.shape[1] - profile_Np[:, ::-1].argmax(1)
