"""Settings of the catalog."""

from dataclasses import dataclass

from psol_ray.catalog.layouts import LayoutName

__all__ = ["DataConfig"]


@dataclass(frozen=True)
class DataConfig:
    """The images."""

    root: str
    """Folder that holds the images."""
    layout: LayoutName = "folder"
    """How the images lie there: as distributed (imagenet, cub), as train/CLASS/ and val/CLASS/ (folder), as
    wsolevaluation's metadata lists them (wsol), or not yet (demo), which makes them."""
    metadata: str | None = None
    """Folder of wsolevaluation's metadata, with train, test or both in it (layout wsol); null is data.root."""
