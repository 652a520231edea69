"""Names of the ways in which four numbers are a box. Light, because settings name them."""

from typing import Literal

__all__ = ["Coordinates"]

Coordinates = Literal[
    "pixels",
    "pixels_xywh",
    "pixels_cxcywh",
    "pixels_yxyx",
    "fractions",
    "fractions_xywh",
    "fractions_cxcywh",
    "fractions_yxyx",
    "percent",
    "percent_xywh",
    "thousandths",
    "thousandths_yxyx",
]
"""A unit and, after `_`, an order; without one it is the corners `x0 y0 x1 y1`. These are the ones that tools write:
`pixels` ImageNet and PASCAL VOC, `pixels_xywh` COCO and CUB, `fractions` Open Images, `fractions_xywh` FiftyOne and
PSOL, `fractions_cxcywh` YOLO, `fractions_yxyx` TensorFlow, `percent_xywh` Label Studio, `thousandths` language models.
"""
