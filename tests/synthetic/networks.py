"""Networks that need no weights, and files of them."""

from collections.abc import Sequence

import torch

from psol_ray.models.saved import SavedNetwork

__all__ = ["file_of", "pictures"]


def file_of(
    boxes_R4: Sequence[Sequence[float]],
    num_classes: int | None = None,
    *,
    backbone: str = "test_efficientnet",
    input_size: int = 64,
) -> bytes:
    """A model.safetensors that says these `(x, y, w, h)` of every image, and random classes."""
    saved = SavedNetwork(backbone, input_size, num_boxes=len(boxes_R4), num_classes=num_classes)
    torch.manual_seed(0)
    network = saved.build()
    if network.heads.box is not None:
        last = network.heads.box[-1]
        torch.nn.init.zeros_(last.weight)
        last.bias.data = torch.tensor(boxes_R4).flatten().logit()
    return saved.to_bytes(network, {})


def pictures(number: int, size: int) -> torch.Tensor:
    """Noise as a decoder gives it, uint8 `(N, size, size, 3)`, the same each time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (number, size, size, 3), dtype=torch.uint8, generator=generator)
