"""Settings of prediction."""

from dataclasses import dataclass, field
from typing import Literal

from jsonargparse.typing import PositiveInt

from psol_ray.models.precision import Precision

__all__ = ["PredictConfig", "ViewName"]

ViewName = Literal["whole", "center", "ten"]


@dataclass(frozen=True)
class PredictConfig:
    """Boxes and classes of the test images."""

    models: Literal["separate", "joint"] = "separate"
    """Networks that predict: a localizer and a classifier (separate, PSOL-Sep), or one for both (joint, PSOL-Joint)."""
    checkpoint: Literal["last", "best"] = "last"
    """Weights to predict with: those after the last epoch, or after the best on the test split (which tunes on it)."""
    localizer: str | None = None
    """Another run's model.safetensors that predicts the boxes (transfer); null is this run's own localizer."""
    classifiers: list[str] = field(default_factory=lambda: ["trained"])
    """Classifiers whose probabilities are averaged: trained (this run's), another run's model.safetensors, or
    BACKBONE=WEIGHTS, a published one."""
    view: Literal["whole", "center"] = "whole"
    """What the localizer sees of an image: all of it, or its middle, 224/256 of a side (Inception: 299/320)."""
    class_view: ViewName | None = None
    """What classifiers see of an image; ten is corners and middle, and these mirrored. Null is the localizer's view."""
    precision: Precision = "auto"
    """Precision of the networks that predict; auto is bfloat16 where the device has units for it."""
    batch_size: PositiveInt = 64
    """Images in a forward pass of prediction."""
    out: str | None = None
    """Folder for copies of the photos that are named, with their boxes drawn; null draws none."""
