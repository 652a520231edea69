"""A trained network as one safetensors file that says in its metadata what it is."""

import json
from dataclasses import asdict, dataclass

import safetensors.torch
import torch

from psol_ray.errors import UserError
from psol_ray.models import PsolNetwork, find_backbone

__all__ = ["SavedNetwork"]


@dataclass(frozen=True)
class SavedNetwork:
    """What is needed to build a trained network, apart from its tensors."""

    backbone: str
    input_size: int
    box: bool
    num_classes: int | None

    def build(self, pretrained: dict[str, torch.Tensor] | None = None) -> PsolNetwork:
        """The network, with a trunk of these tensors; without them its weights are random."""
        return PsolNetwork(find_backbone(self.backbone), box=self.box, num_classes=self.num_classes, state=pretrained)

    def to_bytes(self, network: PsolNetwork) -> bytes:
        """A safetensors file of the network."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
        return safetensors.torch.save(tensors, {"psol_ray": json.dumps(asdict(self))})

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
