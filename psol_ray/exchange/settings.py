"""Settings of an export."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["ExportConfig"]


@dataclass(frozen=True)
class ExportConfig:
    """Boxes for other projects."""

    table: Literal["boxes", "predictions"] = "predictions"
    """Which table's boxes."""
    format: Literal["wsol", "wsol_maps", "psol", "csv"] = "csv"
    """wsolevaluation's text metadata or score maps, the PSOL authors' JSON, or a boxes.csv for the folder layout."""
    out: str = "export"
    """Folder to make."""
