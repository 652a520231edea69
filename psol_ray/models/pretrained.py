"""ImageNet classifiers as they are published, with the last layer that PSOL's own networks replace (Table 4)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from psol_ray.errors import UserError
from psol_ray.models.backbones import Backbone
from psol_ray.models.features import Normalize
from psol_ray.models.libraries import load_timm
from psol_ray.models.networks import Outputs

__all__ = ["PretrainedClassifier", "imagenet_columns"]

_NAMES_SHOWN = 3


class PretrainedClassifier(nn.Module):
    """uint8 images `(N, H, W, 3)` to logits of ImageNet's 1,000 classes, in the order of their WordNet ids."""

    def __init__(self, backbone: Backbone, state: Mapping[str, torch.Tensor]) -> None:
        """`state` is from `load_classifier_state`."""
        super().__init__()
        network: Any = backbone.build()
        if hasattr(network, "AuxLogits"):
            network.AuxLogits, network.aux_logits = None, False
        network.load_state_dict(state)
        self.network = network
        self.normalize = Normalize(backbone.mean, backbone.std)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, images_NHWC: torch.Tensor) -> Outputs:
        return Outputs(None, self.network(self.normalize(images_NHWC)))


def imagenet_columns(class_names: Sequence[str]) -> list[int]:
    """Which of ImageNet's 1,000 outputs each class is, by its WordNet id.

    Raises:
        UserError: a class is not of ImageNet-1k.
    """
    places = {name: index for index, name in enumerate(load_timm().data.ImageNetInfo("imagenet-1k").label_names())}
    unknown = [name for name in class_names if name not in places]
    if unknown:
        shown = ", ".join(unknown[:_NAMES_SHOWN]) + (", …" if len(unknown) > _NAMES_SHOWN else "")
        raise UserError(
            f"found {len(unknown)} of {len(class_names)} classes that are none of ImageNet-1k ({shown}), expected"
            " classes named by WordNet id; use a classifier that was trained on these"
        )
    return [places[name] for name in class_names]
