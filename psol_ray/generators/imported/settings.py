"""Settings of boxes that another project has drawn."""

from dataclasses import dataclass

from jsonargparse.typing import ClosedUnitInterval

from psol_ray.formats.registry import FormatName
from psol_ray.geometry.coordinates import Coordinates

__all__ = ["ImportedSettings"]


@dataclass(frozen=True)
class ImportedSettings:
    """Boxes of another project (method imported)."""

    path: str | None = None
    """Folder that holds the boxes to import; it has to stay where it is, as it is read anew each time."""
    format: FormatName = "csv"
    """Format of the boxes to import: boxes.csv (csv), wsolevaluation's localization.txt (wsol) or score maps
    (wsol_maps), the PSOL authors' JSON (psol_json), or a run directory with the review.json of its page (review)."""
    coordinates: Coordinates | None = None
    """How these boxes are given, as in data.coordinates; null is as the format has it, which is pixels, or
    fractions_xywh (psol_json). Score maps (wsol_maps) need none."""
    threshold: ClosedUnitInterval = 0.5
    """Share of a score map's range above which is object (format wsol_maps)."""
