"""Settings of evaluation."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["EvaluateConfig"]


@dataclass(frozen=True)
class EvaluateConfig:
    """How boxes are scored."""

    coordinates: Literal["original", "crop"] = "original"
    """Where boxes are scored: in the whole image (original), or in the paper's centre crop (crop), to which boxes and
    ground truth are clipped."""
    iou_rule: Literal["at_least", "above"] = "at_least"
    """When a box is right: at an IoU of at least 0.5 (the field's standard), or only above it (the authors' code)."""
