"""Settings of evaluation."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["EvaluateConfig"]


@dataclass(frozen=True)
class EvaluateConfig:
    """How boxes are scored."""

    coordinates: Literal["original", "crop"] = "original"
    """Of the whole image, or of the paper's centre crop, to which boxes and ground truth are clipped."""
    iou_rule: Literal["at_least", "above"] = "at_least"
    """A box is right at an IoU of at least 0.5 (the field's standard), or only above it (the authors' code)."""
