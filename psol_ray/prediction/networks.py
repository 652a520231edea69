"""Networks as they travel to a worker, and what they become there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from psol_ray.models.backbones import find_backbone
from psol_ray.models.networks import Outputs
from psol_ray.models.pretrained import PretrainedClassifier
from psol_ray.models.saved import SavedNetwork
from psol_ray.prediction.views import View

__all__ = ["NetworkView", "PretrainedNetwork", "TrainedNetwork", "load_networks"]


class NetworkView(NamedTuple):
    """A network, what it sees, and which of its classes are the catalog's, in the order of labels; None is all."""

    network: Callable[[torch.Tensor], Outputs]
    view: View
    columns: Sequence[int] | None = None


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that `psol train` made: its file."""

    data: bytes
    view: View

    def load(self, device: torch.device) -> NetworkView:
        """The network on a device."""
        return NetworkView(SavedNetwork.from_bytes(self.data)[1].to(device), self.view)


@dataclass(frozen=True)
class PretrainedNetwork:
    """A published classifier, and which of its classes are the catalog's."""

    backbone: str
    state: Mapping[str, torch.Tensor]
    columns: Sequence[int]
    view: View

    def load(self, device: torch.device) -> NetworkView:
        """The network on a device."""
        network = PretrainedClassifier(find_backbone(self.backbone), self.state)
        return NetworkView(network.to(device), self.view, self.columns)


def load_networks(
    localizer: TrainedNetwork, classifiers: Sequence[TrainedNetwork | PretrainedNetwork], device: torch.device
) -> tuple[NetworkView, list[NetworkView]]:
    """The networks on a device; a classifier that has the localizer's file is the same network."""
    for_boxes = localizer.load(device)
    for_classes = [
        for_boxes._replace(view=classifier.view)
        if isinstance(classifier, TrainedNetwork) and classifier.data == localizer.data
        else classifier.load(device)
        for classifier in classifiers
    ]
    return for_boxes, for_classes
