"""Deep Descriptor Transformation: a class's images in, one noisy box an image out (Sec. 3.2.1)."""

from psol_ray.ddt.class_boxes import component_of, draw_boxes, locate_class
from psol_ray.ddt.moments import Component, Moments
from psol_ray.ddt.passes import CHUNK, Chunk, ClassMoments, Heat, measure, project, project_kept
from psol_ray.ddt.stream import FeatureStream

__all__ = [
    "CHUNK",
    "Chunk",
    "ClassMoments",
    "Component",
    "FeatureStream",
    "Heat",
    "Moments",
    "component_of",
    "draw_boxes",
    "locate_class",
    "measure",
    "project",
    "project_kept",
]
