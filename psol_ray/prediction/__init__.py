"""Boxes and classes of images that no label says anything about."""

from psol_ray.prediction.predict import Predictor

__all__ = ["Predictor"]
