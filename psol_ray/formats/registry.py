"""Every format by its name. Light: a format's module is imported once the format is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from psol_ray.formats.base import Format

__all__ = ["FORMATS", "ONE_FILE", "WRITTEN", "FormatName", "WrittenName", "find_format"]

FORMATS = {
    "csv": "psol_ray.formats.csv",
    "wsol": "psol_ray.formats.wsol",
    "wsol_maps": "psol_ray.formats.wsol_maps",
    "psol_json": "psol_ray.formats.psol_json",
    "coco": "psol_ray.formats.coco",
    "yolo": "psol_ray.formats.yolo",
    "voc": "psol_ray.formats.voc",
    "parquet": "psol_ray.formats.parquet",
    "fiftyone": "psol_ray.formats.fiftyone",
    "labelstudio": "psol_ray.formats.labelstudio",
    "review": "psol_ray.formats.review",
}

WRITTEN = tuple(name for name in FORMATS if name != "review")
"""Formats in which boxes are written; a review is what somebody says of a run's boxes, and only read."""

ONE_FILE = frozenset({"coco", "fiftyone", "labelstudio", "parquet"})
"""Formats of which a file may be named instead of its folder."""

if TYPE_CHECKING:
    FormatName = str
    WrittenName = str
else:
    FormatName = Literal[tuple(FORMATS)]
    WrittenName = Literal[WRITTEN]


def find_format(name: FormatName) -> "Format":
    """Return the format of this name, a key of `FORMATS`."""
    return cast("Format", import_module(FORMATS[name]))
