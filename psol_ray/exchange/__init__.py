"""Boxes in the formats of others, written and read. Needs NumPy, Arrow and OpenCV only."""

from psol_ray.exchange.formats import FORMATS, write_csv, write_psol_json, write_wsol
from psol_ray.exchange.found import hash_boxes
from psol_ray.exchange.reading import READERS, read_boxes, source_folder
from psol_ray.exchange.score_maps import write_score_maps

__all__ = [
    "FORMATS",
    "READERS",
    "hash_boxes",
    "read_boxes",
    "source_folder",
    "write_csv",
    "write_psol_json",
    "write_score_maps",
    "write_wsol",
]
