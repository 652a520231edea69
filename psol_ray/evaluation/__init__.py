"""Scores of pseudo boxes and predictions against ground truth. Needs NumPy and Arrow only."""

from psol_ray.evaluation.evaluate import Evaluation, evaluate, image_ious
from psol_ray.evaluation.per_class import per_class
from psol_ray.evaluation.protocol import Protocol

__all__ = ["Evaluation", "Protocol", "evaluate", "image_ious", "per_class"]
