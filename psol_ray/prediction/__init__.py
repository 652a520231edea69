"""Boxes and classes of images that no label says anything about."""

from psol_ray.prediction.predict import Eye, Predictor
from psol_ray.prediction.views import View

__all__ = ["Eye", "Predictor", "View"]
