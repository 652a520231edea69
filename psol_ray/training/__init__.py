"""Steps 2 and 3 of Algorithm 1: a localizer from pseudo boxes, a classifier from labels, or both in one network."""

from psol_ray.training.loader import Share, TrainingBatch, TrainingLoader
from psol_ray.training.loop import Trainer
from psol_ray.training.samples import Samples, collect_samples
from psol_ray.training.validation import Validator, validation_images

__all__ = [
    "Samples",
    "Share",
    "Trainer",
    "TrainingBatch",
    "TrainingLoader",
    "Validator",
    "collect_samples",
    "validation_images",
]
