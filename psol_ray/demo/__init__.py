"""A small data set with known boxes, made of photographs that installed packages ship."""

from psol_ray.demo.dataset import NUM_IMAGES, make_demo

__all__ = ["NUM_IMAGES", "make_demo"]
