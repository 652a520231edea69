"""Pretrained backbones, their weights, and the networks PSOL trains on top of them."""

from psol_ray.models.backbones import Backbone, find_backbone
from psol_ray.models.features import FeatureExtractor, compiled
from psol_ray.models.networks import Outputs, PsolNetwork
from psol_ray.models.pretrained import PretrainedClassifier, imagenet_columns
from psol_ray.models.saved import SavedNetwork
from psol_ray.models.weights import hash_state, load_classifier_state, load_state

__all__ = [
    "Backbone",
    "FeatureExtractor",
    "Outputs",
    "PretrainedClassifier",
    "PsolNetwork",
    "SavedNetwork",
    "compiled",
    "find_backbone",
    "hash_state",
    "imagenet_columns",
    "load_classifier_state",
    "load_state",
]
