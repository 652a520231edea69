"""Settings of an export."""

from dataclasses import dataclass
from typing import Literal

from jsonargparse.typing import ClosedUnitInterval

from psol_ray.formats.registry import WrittenName

__all__ = ["ExportConfig"]


@dataclass(frozen=True)
class ExportConfig:
    """Boxes for other projects."""

    table: Literal["boxes", "predictions"] = "predictions"
    """Table whose boxes are exported: pseudo boxes, or what the localizer predicts for the test images."""
    format: WrittenName = "csv"
    """Format of the exported boxes: COCO's JSON (coco), YOLO's labels (yolo), PASCAL VOC's XML (voc), a boxes.csv for
    the folder layout (csv), Parquet (parquet), files for FiftyOne (fiftyone) or Label Studio (labelstudio),
    wsolevaluation's metadata (wsol) or score maps (wsol_maps), or the PSOL authors' JSON (psol_json)."""
    out: str = "export"
    """Folder to make for the exported boxes."""
    min_quality: ClosedUnitInterval = 0.0
    """Pseudo boxes of less quality, from 0 to 1, are left out and listed in left_out.csv; docs/labels.md says what
    quality is."""
