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
    """Folder that holds the boxes to import, or one file of coco, fiftyone, labelstudio or parquet; it has to stay
    where it is, as it is read anew each time."""
    format: FormatName = "csv"
    """Format of the boxes to import: COCO's annotations or results (coco), YOLO's labels (yolo), PASCAL VOC's XML
    (voc), boxes.csv (csv), Parquet (parquet), FiftyOne's labels.json (fiftyone), Label Studio's tasks (labelstudio),
    wsolevaluation's localization.txt (wsol) or score maps (wsol_maps), the PSOL authors' JSON (psol_json), or a run
    directory with the review.json of its page (review)."""
    coordinates: Coordinates | None = None
    """How these boxes are given, as in data.coordinates; null is as the format has it: pixels, or pixels_xywh (coco),
    fractions_xywh (psol_json, fiftyone), fractions_cxcywh (yolo), percent_xywh (labelstudio). Score maps (wsol_maps)
    need none."""
    threshold: ClosedUnitInterval = 0.5
    """Share of a score map's range above which is object (format wsol_maps)."""
