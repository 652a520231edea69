"""Heat map to box: threshold at zero, largest 8-connected component, its extent.

The paper upsamples the heat and thresholds it (`bilinear`); the authors' code thresholds the small map and enlarges
the mask (`nearest`).
"""

import numpy as np
import torch

from psol_ray.heatmaps import Upsample
from psol_ray.heatmaps.bilinear import largest_upsampled_components
from psol_ray.heatmaps.components import HeatBoxes, largest_components

__all__ = ["HeatBoxes", "Upsample", "heat_to_boxes"]

# Maps taken at once: more spread numpy's overhead over more maps, fewer keep its intermediates in the CPU's cache.
_SLICE = 32


def heat_to_boxes(heat_Nhw: torch.Tensor, size: int, upsample: Upsample) -> HeatBoxes:
    """The extent of the largest component strictly above zero of each heat map.

    Args:
        heat_Nhw: projections of each image's descriptors, float32.
        size: side of the network's input in pixels, to which `bilinear` upsamples.
        upsample: which of the two readings.
    """
    if not len(heat_Nhw):
        return HeatBoxes(np.zeros((0, 4)), np.zeros(0, bool), np.zeros(0), np.zeros(0))
    slices = [part.cpu().numpy() for part in heat_Nhw.split(_SLICE)]
    if upsample == "bilinear":
        columns = [largest_upsampled_components(part, size) for part in slices]
    else:
        columns = [largest_components(part) for part in slices]
    return HeatBoxes(*(np.concatenate(column) for column in zip(*columns, strict=True)))
