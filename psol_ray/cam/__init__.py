"""Pseudo boxes from a classifier's class activation maps, to compare with DDT's."""

from psol_ray.cam.boxes import MapLocator
from psol_ray.cam.maps import ActivationMaps, MapMethod

__all__ = ["ActivationMaps", "MapLocator", "MapMethod"]
