"""Heat map to box: threshold at zero, largest 8-connected component, its extent.

The paper upsamples the heat and thresholds it (`bilinear`); the authors' code thresholds the small map and enlarges
the mask (`nearest`).
"""

from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

__all__ = ["HeatBoxes", "Upsample", "heat_to_boxes"]

Upsample = Literal["bilinear", "nearest"]


class HeatBoxes(NamedTuple):
    """One box a heat map.

    `boxes_N4` is `(x0, y0, x1, y1)` as fractions of the image, float64; where nothing is above zero `found_N` is
    False and the box is the whole image.
    """

    boxes_N4: NDArray[np.float64]
    found_N: NDArray[np.bool_]
    area_fraction_N: NDArray[np.float64]
    mean_heat_N: NDArray[np.float64]


def heat_to_boxes(heat_Nhw: torch.Tensor, size: int, upsample: Upsample) -> HeatBoxes:
    """The extent of the largest component strictly above zero of each heat map.

    Args:
        heat_Nhw: projections of each image's descriptors, float32.
        size: side of the network's input in pixels, to which `bilinear` upsamples.
        upsample: which of the two readings.
    """
    if upsample == "bilinear":
        heat_Nhw = F.interpolate(heat_Nhw[:, None], (size, size), mode="bilinear", align_corners=False)[:, 0]
    rows = [_largest_component(heat_hw) for heat_hw in heat_Nhw.cpu().numpy()]
    columns = zip(*rows, strict=True) if rows else ((), (), (), ())
    boxes, found, area_fraction, mean_heat = (np.array(list(column)) for column in columns)
    return HeatBoxes(boxes.reshape(-1, 4), found.astype(bool), area_fraction, mean_heat)


def _largest_component(heat_hw: NDArray[np.float32]) -> tuple[tuple[float, ...], bool, float, float]:
    height, width = heat_hw.shape
    count, labels_hw, stats, _ = cv2.connectedComponentsWithStats((heat_hw > 0).astype(np.uint8), connectivity=8)
    if count == 1:  # the background alone
        return (0.0, 0.0, 1.0, 1.0), False, 0.0, 0.0
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = 1 + np.flatnonzero(areas == areas.max())
    # Of equally large components the one met first, row by row; OpenCV numbers them in blocks of two rows.
    best = int(largest[0] if len(largest) == 1 else labels_hw.reshape(-1)[np.isin(labels_hw, largest).argmax()])
    x, y, w, h, area = (int(value) for value in stats[best])
    box = (x / width, y / height, (x + w) / width, (y + h) / height)
    return box, True, area / (width * height), float(heat_hw[labels_hw == best].mean())
