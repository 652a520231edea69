"""A trained network as one safetensors file that says in its metadata what it is and how it was trained.

What a file says of itself is read without torch, which is imported once a network is built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from psol_ray.errors import UserError
from psol_ray.models.weights_id import hash_bytes
from psol_ray.tables import StageDir, read_file

if TYPE_CHECKING:
    import torch

    from psol_ray.models.networks import PsolNetwork

__all__ = ["NetworkFile", "SavedNetwork"]


@dataclass(frozen=True)
class SavedNetwork:
    """What is needed to build a trained network, apart from its tensors; for the fields see `PsolNetwork`."""

    backbone: str
    input_size: int
    num_boxes: int
    num_classes: int | None

    def build(self, pretrained: dict[str, torch.Tensor] | None = None, *, for_training: bool = False) -> PsolNetwork:
        """The network, with a trunk of these tensors; without them its weights are random."""
        from psol_ray.models.backbones import find_backbone
        from psol_ray.models.networks import PsolNetwork

        backbone = find_backbone(self.backbone)
        return PsolNetwork(
            backbone,
            num_boxes=self.num_boxes,
            num_classes=self.num_classes,
            state=pretrained,
            # The last layers of Inception's side branch do not fit on the map of a smaller image.
            for_training=for_training and self.input_size >= backbone.input_size,
        )

    def to_bytes(self, network: PsolNetwork, recipe: Mapping[str, Any], class_names: Sequence[str] = ()) -> bytes:
        """A safetensors file of the network, without what only training needs.

        Args:
            network: made by `build`.
            recipe: how it was trained, for people; must go into JSON.
            class_names: of the class head's outputs, in their order; none are kept of a network without one.
        """
        import safetensors.torch
        import torch

        # Copies, because safetensors refuses layers that share a tensor, as CoaT's do.
        as_file = partial(torch.clone, memory_format=torch.contiguous_format)
        tensors = {name: as_file(tensor.detach().cpu()) for name, tensor in network.weights().items()}
        metadata = {"psol_ray": json.dumps(asdict(self)), "recipe": json.dumps(dict(recipe))}
        if self.num_classes is not None and class_names:
            metadata["classes"] = json.dumps(list(class_names))
        return _with_sorted_metadata(safetensors.torch.save(tensors, metadata))

    @staticmethod
    def describe(data: bytes) -> SavedNetwork:
        """What a file that `to_bytes` made says of itself; its tensors are not looked at.

        Raises:
            UserError: the file is of another program.
        """
        header, _ = _split(data)
        try:
            return SavedNetwork(**json.loads(json.loads(header)["__metadata__"]["psol_ray"]))
        except (ValueError, KeyError, TypeError):  # no JSON, no metadata of ours, other fields
            raise UserError("found a file of another program; expected a model that `psol train` wrote") from None

    @staticmethod
    def from_bytes(data: bytes) -> tuple[SavedNetwork, PsolNetwork]:
        """The network of a file that `to_bytes` made, ready for inference.

        Raises:
            UserError: the file is of another program.
        """
        import safetensors.torch

        from psol_ray.models.unfilled import unfilled

        saved = SavedNetwork.describe(data)
        with unfilled():
            network = saved.build()
        network.load_state_dict(safetensors.torch.load(data))
        return saved, network.eval()


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The JSON header of a safetensors file, and its tensors."""
    # The file starts with the header's length, eight bytes little-endian.
    end = 8 + int.from_bytes(data[:8], "little")
    return data[8:end], data[end:]


def _with_sorted_metadata(data: bytes) -> bytes:
    """The same file, byte for byte equal for equal content: safetensors leaves the order of metadata to chance."""
    header, tensors = _split(data)
    content = json.loads(header)
    content["__metadata__"] = dict(sorted(content["__metadata__"].items()))
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors are aligned
    return len(text).to_bytes(8, "little") + text + tensors


@dataclass(frozen=True)
class NetworkFile:
    """A file that `SavedNetwork.to_bytes` made, and what messages call it: the setting with its path, or the path."""

    where: str
    data: bytes
    expected: str
    """What kind of file it should be, for messages: `expected a model.safetensors of …`."""

    @classmethod
    def read(cls, setting: str, uri: str, expected: str) -> NetworkFile:
        """The file that a setting names, by a local path or a URI.

        Raises:
            UserError: there is none, or it is of another program.
        """
        data = read_file(setting, uri)
        if data is None:
            raise UserError(f"{setting}: found no file {uri!r}, {expected}; fix the path")
        return cls(f"{setting}: {uri!r}", data, expected)

    @classmethod
    def of_stage(cls, stage: StageDir, name: str, expected: str, remedy: str) -> NetworkFile:
        """The file that this run's training left.

        Raises:
            UserError: there is none; the message ends with `remedy`.
        """
        data = stage.read_bytes(name)
        if data is None:
            raise UserError(f"{stage.address}: found no {name}{remedy}")
        return cls(f"{stage.address}/{name}", data, expected)

    @cached_property
    def saved(self) -> SavedNetwork:
        """What the file says of itself.

        Raises:
            UserError: it is of another program.
        """
        try:
            return SavedNetwork.describe(self.data)
        except UserError as error:
            raise UserError(f"{self.where}: {error}; give another file") from None

    @property
    def class_names(self) -> list[str]:
        """Names of its classes in the order of its outputs; empty where the file does not say."""
        return self._said("classes", [])

    @property
    def recipe(self) -> dict[str, Any]:
        """How it was trained, as `SavedNetwork.to_bytes` was told."""
        return self._said("recipe", {})

    def _said(self, name: str, default: Any) -> Any:
        metadata = json.loads(_split(self.data)[0])["__metadata__"]
        return json.loads(metadata[name]) if name in metadata else default

    @property
    def hash(self) -> str:
        """16 hex digits of its content."""
        return hash_bytes(self.data)

    def load(self) -> PsolNetwork:
        """The network, on the CPU.

        Raises:
            UserError: the file is of another program, or is cut short.
        """
        from safetensors import SafetensorError

        assert self.saved
        try:
            return SavedNetwork.from_bytes(self.data)[1]
        except (SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{self.where}: found a file that is not whole ({reason}), {self.expected}; copy it again, or train"
                " anew"
            ) from None
