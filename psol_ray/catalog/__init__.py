"""What images there are, of which class and split, how large, and with which ground-truth boxes."""

from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.layouts import LAYOUTS, list_images
from psol_ray.catalog.listing import LISTING, build_catalog

__all__ = ["LAYOUTS", "LISTING", "build_catalog", "list_images", "read_sizes"]
