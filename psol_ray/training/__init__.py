"""Steps 2 and 3 of Algorithm 1: a localizer from pseudo boxes, a classifier from labels, or both in one network."""

from psol_ray.training.loader import TrainingBatch, TrainingLoader
from psol_ray.training.loop import Trainer
from psol_ray.training.samples import Samples, collect_samples
from psol_ray.training.saved import SavedNetwork

__all__ = ["Samples", "SavedNetwork", "Trainer", "TrainingBatch", "TrainingLoader", "collect_samples"]
