"""From stored pixels to a feature map."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from psol_ray.models.backbones import Backbone, Triple
from psol_ray.models.libraries import load_torchvision

if TYPE_CHECKING:
    from psol_ray.models.fused import MaxPool

__all__ = ["Extract", "FeatureExtractor", "Normalize"]

Extract = Callable[[torch.Tensor], torch.Tensor]
"""uint8 images `(N, H, W, 3)` to a map `(N, h, w, C)`."""


class Normalize(nn.Module):
    """uint8 `(N, H, W, 3)` to normalised float32 `(N, 3, H, W)`, laid out channels last."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Triple, std: Triple) -> None:
        super().__init__()
        # Not persistent: they belong to the backbone's table, not to anybody's weights.
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255, persistent=False)

    def forward(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        return (images_NHWC.permute(0, 3, 1, 2) - self.mean) / self.std


class FeatureExtractor(nn.Module):
    """Frozen features for DDT: uint8 images `(N, H, W, 3)` to a map `(N, h, w, C)`."""

    def __init__(self, backbone: Backbone, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        network = backbone.build()
        # What is not in `state` lies behind the feature map; `load_state` has made sure of that.
        network.load_state_dict(state, strict=False)
        self.normalize = Normalize(backbone.mean, backbone.std)
        node = backbone.feature_node
        self.to_map = _TimmMap(network) if node is None else _TorchvisionMap(network.eval(), node)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        return self.to_map(self.normalize(images_NHWC)).permute(0, 2, 3, 1)

    def fused(self, pool: MaxPool) -> Extract | None:
        """The same in bfloat16 with few operations; None where it is not known how. For `pool` see `fuse`."""
        if not isinstance(self.to_map, _TorchvisionMap):
            return None
        # Late: only a GPU gains by it.
        from psol_ray.models.fused import fuse

        network = fuse(self.to_map.extractor, self.normalize.mean, self.normalize.std, pool)
        return None if network is None else lambda images_NHWC: network(images_NHWC)["map"].permute(0, 2, 3, 1)


class _TimmMap(nn.Module):
    """The last map of a timm network; a ViT's patches become one."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        (map_NCHW,) = self.network.forward_intermediates(x_NCHW, indices=1, output_fmt="NCHW", intermediates_only=True)
        return map_NCHW


class _TorchvisionMap(nn.Module):
    """The output of one node of a torchvision network, without what comes after it."""

    def __init__(self, network: nn.Module, node: str) -> None:
        super().__init__()
        create_feature_extractor = load_torchvision().models.feature_extraction.create_feature_extractor
        self.extractor = create_feature_extractor(network, {node: "map"}, suppress_diff_warning=True)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        return self.extractor(x_NCHW)["map"]
