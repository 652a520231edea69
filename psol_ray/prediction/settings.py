"""Settings of prediction."""

from dataclasses import dataclass, field
from typing import Literal

from jsonargparse.typing import PositiveInt

__all__ = ["PredictConfig"]


@dataclass(frozen=True)
class PredictConfig:
    """Boxes and classes of the test images."""

    models: Literal["separate", "joint"] = "separate"
    """A localizer and a classifier (PSOL-Sep), or one network for both (PSOL-Joint)."""
    checkpoint: Literal["last", "best"] = "last"
    """Weights after the last epoch, or after the one that was best on the test split (best is tuned on it)."""
    localizer: str | None = None
    """Another run's model.safetensors for the boxes (transfer); null is this run's own."""
    classifiers: list[str] = field(default_factory=lambda: ["trained"])
    """Whose probabilities are averaged: trained, another run's model.safetensors, or BACKBONE=WEIGHTS, pretrained."""
    view: Literal["whole", "center"] = "whole"
    """What the localizer sees: all of an image, or its middle, 224/256 of a side (Inception: 299/320)."""
    class_view: Literal["whole", "center", "ten"] | None = None
    """What classifiers see; ten is corners and middle, and these mirrored. Null is what the localizer sees."""
    batch_size: PositiveInt = 64
    """Images a forward pass."""
