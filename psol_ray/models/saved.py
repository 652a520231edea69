"""A trained network as one safetensors file that says in its metadata what it is and how it was trained."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import safetensors.torch
import torch

from psol_ray.errors import UserError
from psol_ray.models.backbones import find_backbone
from psol_ray.models.networks import PsolNetwork

__all__ = ["SavedNetwork"]


@dataclass(frozen=True)
class SavedNetwork:
    """What is needed to build a trained network, apart from its tensors; for the fields see `PsolNetwork`."""

    backbone: str
    input_size: int
    num_boxes: int
    num_classes: int | None

    def build(self, pretrained: dict[str, torch.Tensor] | None = None, *, for_training: bool = False) -> PsolNetwork:
        """The network, with a trunk of these tensors; without them its weights are random."""
        backbone = find_backbone(self.backbone)
        return PsolNetwork(
            backbone,
            num_boxes=self.num_boxes,
            num_classes=self.num_classes,
            state=pretrained,
            # The last layers of Inception's side branch do not fit on the map of a smaller image.
            for_training=for_training and self.input_size >= backbone.input_size,
        )

    def to_bytes(self, network: PsolNetwork, recipe: Mapping[str, Any]) -> bytes:
        """A safetensors file of the network, without what only training needs.

        Args:
            network: made by `build`.
            recipe: how it was trained, for people; must go into JSON.
        """
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.weights().items()}
        return safetensors.torch.save(
            tensors, {"psol_ray": json.dumps(asdict(self)), "recipe": json.dumps(dict(recipe))}
        )

    @staticmethod
    def describe(data: bytes) -> "SavedNetwork":
        """What a file that `to_bytes` made says of itself; its tensors are not looked at.

        Raises:
            UserError: the file is of another program.
        """
        # A safetensors file starts with the length of its JSON header, eight bytes little-endian.
        length = int.from_bytes(data[:8], "little")
        try:
            return SavedNetwork(**json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["psol_ray"]))
        except (ValueError, KeyError, TypeError):  # no JSON, no metadata of ours, other fields
            raise UserError("found a file of another program; expected a model that `psol train` wrote") from None

    @staticmethod
    def from_bytes(data: bytes) -> tuple["SavedNetwork", PsolNetwork]:
        """The network of a file that `to_bytes` made, ready for inference.

        Raises:
            UserError: the file is of another program.
        """
        saved = SavedNetwork.describe(data)
        network = saved.build()
        network.load_state_dict(safetensors.torch.load(data))
        return saved, network.eval()
