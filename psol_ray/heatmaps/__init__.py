"""Maps of an image's heat to boxes: the largest component above a threshold, and its extent."""

from psol_ray.heatmaps.boxes import Upsample, heat_to_boxes
from psol_ray.heatmaps.components import HeatBoxes

__all__ = ["HeatBoxes", "Upsample", "heat_to_boxes"]
