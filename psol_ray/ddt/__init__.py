"""Deep Descriptor Transformation: a class's images in, one noisy box an image out (Sec. 3.2.1)."""

from psol_ray.ddt.class_boxes import locate_class
from psol_ray.ddt.moments import Component, Moments

__all__ = ["Component", "Moments", "locate_class"]
