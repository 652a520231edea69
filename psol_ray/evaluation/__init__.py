"""Scores of pseudo boxes and predictions against ground truth. Needs NumPy and Arrow only."""

from psol_ray.evaluation.evaluate import evaluate, image_ious
from psol_ray.evaluation.per_class import per_class

__all__ = ["evaluate", "image_ious", "per_class"]
