"""Settings of boxes from class maps."""

from dataclasses import dataclass

from jsonargparse.typing import ClosedUnitInterval

__all__ = ["ClassMapSettings"]


@dataclass(frozen=True)
class ClassMapSettings:
    """Class activation maps and Grad-CAM (methods cam and grad_cam): whose maps, and what in them is object."""

    classifier: str | None = None
    """A model.safetensors of `psol train classifier` or `joint` whose maps are drawn; null is this run's own."""
    threshold: ClosedUnitInterval = 0.2
    """How far above a map's lowest value its object begins, as a share of the way to the highest."""
