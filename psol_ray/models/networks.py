"""The networks PSOL trains: a pretrained trunk with a box head, a class head, or both (Sec. 3.2.2, Sec. 4.1)."""

from typing import Any, NamedTuple

import torch
from torch import nn

from psol_ray.models.backbones import Backbone
from psol_ray.models.features import Normalize

__all__ = ["Outputs", "PsolNetwork"]

HIDDEN_UNITS = 512


class Outputs(NamedTuple):
    """What a network says of a batch; None for a head it does not have.

    `boxes_N4` is `(x, y, w, h)`, fractions of the input in [0, 1]; `logits_NK` are unnormalised.
    """

    boxes_N4: torch.Tensor | None
    logits_NK: torch.Tensor | None


class PsolNetwork(nn.Module):
    """uint8 images `(N, H, W, 3)` to boxes and class logits.

    The last layer of the pretrained classifier is replaced by the heads asked for; the box head is
    Linear, ReLU, Linear(4), sigmoid.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        box: bool,
        num_classes: int | None,
        state: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Args:
        backbone: architecture of the trunk.
        box: whether it has a box head.
        num_classes: size of the class head; None for no class head.
        state: pretrained tensors of the trunk, from `load_state`.
        """
        super().__init__()
        network = backbone.build()
        if state is not None:
            network.load_state_dict(state, strict=False)
        self.normalize = Normalize(backbone.mean, backbone.std)
        self.trunk, width = _pooled(network, backbone)
        self.box_head = (
            nn.Sequential(nn.Linear(width, HIDDEN_UNITS), nn.ReLU(), nn.Linear(HIDDEN_UNITS, 4), nn.Sigmoid())
            if box
            else None
        )
        self.class_head = nn.Linear(width, num_classes) if num_classes is not None else None
        self.to(memory_format=torch.channels_last)

    def forward(self, images_NHWC: torch.Tensor) -> Outputs:
        pooled_NC = self.trunk(self.normalize(images_NHWC))
        return Outputs(
            None if self.box_head is None else self.box_head(pooled_NC),
            None if self.class_head is None else self.class_head(pooled_NC),
        )

    def heads(self) -> list[nn.Parameter]:
        """Parameters that no pretraining has seen: they learn at a higher rate."""
        return [p for head in (self.box_head, self.class_head) if head is not None for p in head.parameters()]


def _pooled(network: Any, backbone: Backbone) -> tuple[nn.Module, int]:
    """The network without its last layer, and how many features it then gives."""
    if backbone.pooled_by_gap:
        features = getattr(network, str(backbone.feature_node))
        last_conv = [m for m in features.modules() if isinstance(m, nn.Conv2d)][-1]
        return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten()), last_conv.out_channels
    if hasattr(network, "AuxLogits"):
        network.AuxLogits, network.aux_logits = None, False
    parent_name, _, name = backbone.last_layer.rpartition(".")
    parent = network.get_submodule(parent_name)
    width = getattr(parent, name).in_features
    setattr(parent, name, nn.Identity())
    return network, width
