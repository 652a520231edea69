"""The networks PSOL trains: a pretrained trunk with a box head, a class head, or both (Sec. 3.2.2, Sec. 4.1)."""

from typing import Any, NamedTuple

import torch
from torch import nn

from psol_ray.models.backbones import Backbone
from psol_ray.models.features import Normalize
from psol_ray.models.layout import channels_last

__all__ = ["Outputs", "PsolNetwork"]

HIDDEN_UNITS = 512


class Outputs(NamedTuple):
    """What a network says of a batch; None for a head it does not have.

    `boxes_NR4` is `(x, y, w, h)`, fractions of the input in [0, 1]: one box an image (R = 1), or with regression per
    class one for each class; `logits_NK` are unnormalised. `auxiliary` is the same from Inception's side branch, in
    training only.
    """

    boxes_NR4: torch.Tensor | None
    logits_NK: torch.Tensor | None
    auxiliary: "Outputs | None" = None


class _Heads(nn.Module):
    """Pooled features `(N, C)` to boxes and logits."""

    def __init__(self, width: int, num_boxes: int, num_classes: int | None) -> None:
        super().__init__()
        self.num_boxes = num_boxes
        self.box = (
            nn.Sequential(nn.Linear(width, HIDDEN_UNITS), nn.ReLU(), nn.Linear(HIDDEN_UNITS, 4 * num_boxes))
            if num_boxes
            else None
        )
        self.classes = nn.Linear(width, num_classes) if num_classes is not None else None

    def forward(self, pooled_NC: torch.Tensor) -> Outputs:
        boxes_NR4 = None
        if self.box is not None:
            # In bfloat16 the sigmoid of 6.3 is 1, without a gradient, and boxes are steps of 1/256 of the image apart.
            boxes_NR4 = self.box(pooled_NC).float().sigmoid().view(len(pooled_NC), self.num_boxes, 4)
        return Outputs(boxes_NR4, None if self.classes is None else self.classes(pooled_NC))


class PsolNetwork(nn.Module):
    """uint8 images `(N, H, W, 3)` to boxes and class logits.

    The last layer of the pretrained classifier is replaced by the heads asked for; the box head is
    Linear, ReLU, Linear(4), sigmoid.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        num_boxes: int,
        num_classes: int | None,
        state: dict[str, torch.Tensor] | None = None,
        for_training: bool = False,
    ) -> None:
        """Args:
        backbone: architecture of the trunk.
        num_boxes: boxes an image: 1 (single-class regression, Sec. 3.2.2), as many as classes (per-class
            regression), or 0 for no box head.
        num_classes: size of the class head; None for no class head.
        state: pretrained tensors of the trunk, from `load_state`.
        for_training: with Inception's side branch, which has heads of its own and only helps to train.
        """
        super().__init__()
        network = backbone.build()
        if state is not None:
            network.load_state_dict(state, strict=False)
        self.normalize = Normalize(backbone.mean, backbone.std)
        self.trunk, width = _pooled(network, backbone)
        self.heads = _Heads(width, num_boxes, num_classes)
        self.auxiliary_heads = _auxiliary_heads(network, num_boxes, num_classes, for_training)
        channels_last(self)

    def forward(self, images_NHWC: torch.Tensor) -> Outputs:
        pooled = self.trunk(self.normalize(images_NHWC))
        if self.auxiliary_heads is None or isinstance(pooled, torch.Tensor):
            return self.heads(pooled)
        # In training torchvision's Inception gives what comes of its side branch, too.
        pooled_NC, side_NC = pooled
        return self.heads(pooled_NC)._replace(auxiliary=self.auxiliary_heads(side_NC))

    def added_parameters(self) -> list[nn.Parameter]:
        """Parameters that no pretraining has seen: they learn at a higher rate."""
        heads = (self.heads, self.auxiliary_heads)
        return [parameter for head in heads if head is not None for parameter in head.parameters()]

    def weights(self) -> dict[str, torch.Tensor]:
        """The tensors that a network made without `for_training` has."""
        return {name: t for name, t in self.state_dict().items() if not name.startswith(_ONLY_FOR_TRAINING)}


_ONLY_FOR_TRAINING = ("trunk.AuxLogits.", "auxiliary_heads.")


def _auxiliary_heads(network: Any, num_boxes: int, num_classes: int | None, wanted: bool) -> _Heads | None:
    """Heads for the side branch of a network that has one, if they are wanted; else the branch is taken off."""
    branch = getattr(network, "AuxLogits", None)
    if branch is None:
        return None
    if not wanted:
        network.AuxLogits, network.aux_logits = None, False
        return None
    width = branch.fc.in_features
    branch.fc = nn.Identity()
    return _Heads(width, num_boxes, num_classes)


def _pooled(network: Any, backbone: Backbone) -> tuple[nn.Module, int]:
    """The network without its last layer, and how many features it then gives."""
    if backbone.pooled_by_gap:
        features = getattr(network, str(backbone.feature_node))
        last_conv = [m for m in features.modules() if isinstance(m, nn.Conv2d)][-1]
        return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten()), last_conv.out_channels
    widths = {_take_off(network, layer) for layer in backbone.last_layers} or {network.num_features}
    if len(widths) > 1:
        raise ValueError(f"its last layers take {', '.join(map(str, sorted(widths)))} features, not one number")
    return network, widths.pop()


def _take_off(network: Any, layer: str) -> int:
    """Replace a last layer, linear or a convolution of 1 x 1, by nothing; how many features went into it."""
    parent_name, _, name = layer.rpartition(".")
    parent = network.get_submodule(parent_name)
    weight = getattr(getattr(parent, name), "weight", None)  # timm has networks without a classifier
    setattr(parent, name, nn.Identity())
    return network.num_features if weight is None else weight.shape[1]
