"""Settings of the catalog."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["DataConfig"]


@dataclass(frozen=True)
class DataConfig:
    """The images."""

    root: str
    """Folder that holds the images."""
    layout: Literal["imagenet", "cub", "folder", "wsol", "demo"] = "folder"
    """As distributed (imagenet, cub), train/CLASS/ and val/CLASS/ (folder), wsolevaluation metadata, or made (demo)."""
    metadata: str | None = None
    """wsol: folder of the metadata, with train, test or both in it; null is data.root."""
