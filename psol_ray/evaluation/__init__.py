"""Scores of pseudo boxes and predictions against ground truth. Needs NumPy and Arrow only."""

from psol_ray.evaluation.evaluate import Evaluation, evaluate
from psol_ray.evaluation.metrics import Metrics
from psol_ray.evaluation.scores import score_images
from psol_ray.evaluation.scoring import ScoringProtocol

__all__ = ["Evaluation", "Metrics", "ScoringProtocol", "evaluate", "score_images"]
