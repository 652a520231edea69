"""Count what a network costs: parameters, and multiply-adds of an image (Table 2)."""

from functools import cache
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from psol_ray.models.backbones import find_backbone
from psol_ray.models.networks import PsolNetwork

__all__ = ["Cost", "cost"]


class Cost(NamedTuple):
    """`parameters` are those in training, with Inception's side branch; the others are of one image, and without."""

    parameters: int
    convolutions: int  # multiply-adds, what the paper counts
    linear: int  # multiply-adds


@cache
def cost(backbone: str, num_boxes: int, num_classes: int | None, input_size: int | None = None) -> Cost:
    """Count on shapes alone, without memory or arithmetic; for the arguments see `PsolNetwork`.

    Args:
        input_size: side of the input in pixels; None is the backbone's own.

    Raises:
        UserError: the backbone is unknown.
    """
    trunk = find_backbone(backbone)
    size = input_size or trunk.input_size
    with torch.device("meta"), torch.no_grad():
        network = PsolNetwork(trunk, num_boxes=num_boxes, num_classes=num_classes, for_training=True).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty((1, size, size, 3), dtype=torch.uint8))
    flops = counter.get_flop_counts()["Global"]
    # The counter takes a multiply-add for two operations, the paper for one.
    return Cost(
        sum(parameter.numel() for parameter in network.parameters()),
        flops[torch.ops.aten.convolution] // 2,
        flops[torch.ops.aten.addmm] // 2,
    )
