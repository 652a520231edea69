"""Pseudo Supervised Object Localization (CVPR 2020) as a distributed system on Ray."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psol_ray.api import draw_boxes, list_images, load_localizer, score_boxes

__all__ = ["__version__", "draw_boxes", "list_images", "load_localizer", "score_boxes"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Late: `psol --help` imports this package, and should not import what its functions need.
    if name in __all__:
        return getattr(import_module("psol_ray.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
