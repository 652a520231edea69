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
    def from_bytes(data: bytes) -> tuple["SavedNetwork", PsolNetwork]:
        """The network of a file that `to_bytes` made, ready for inference.

        Raises:
            UserError: the file is of another program.
        """
        # A safetensors file starts with the length of its JSON header, eight bytes little-endian.
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
        if "psol_ray" not in metadata:
            raise UserError("found a safetensors file of another program; expected a model of `psol train`")
        saved = SavedNetwork(**json.loads(metadata["psol_ray"]))
        network = saved.build()
        network.load_state_dict(safetensors.torch.load(data))
        return saved, network.eval()
