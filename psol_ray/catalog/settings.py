"""Settings of the catalog."""

from dataclasses import dataclass

from jsonargparse.typing import ClosedUnitInterval, PositiveInt

from psol_ray.catalog.layouts import LayoutName
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.images.limits import MAX_PIXELS

__all__ = ["DataConfig", "PackConfig"]


@dataclass(frozen=True)
class DataConfig:
    """The images."""

    root: str
    """Folder that holds the images: a local path, or a URI such as s3://bucket/path."""
    layout: LayoutName = "auto"
    """How the images lie there: recognised by names (auto); as train/CLASS/ and val/CLASS/ (folder), as CLASS/ alone
    (classes), in one folder as one class (one_class), as images.csv or images.parquet lists them (list), with
    annotations of COCO, YOLO or Pascal VOC (coco, yolo, voc), as distributed (imagenet, cub), as wsolevaluation's
    metadata lists them (wsol), in tar files (webdataset), in a column of Parquet files (parquet), or not yet (demo),
    which makes them."""
    metadata: str | None = None
    """Folder of wsolevaluation's metadata, with train, test or both in it (layout wsol); null is data.root."""
    coordinates: Coordinates | None = None
    """How the boxes that come with the images are given: in pixels or as shares of the image's sides, and in which
    order where it is not x0 y0 x1 y1: xywh is the top-left corner and the size, cxcywh the centre and the size, yxyx
    has y first. Null is as the layout has it, which is pixels, or pixels_xywh (cub, coco), or fractions_cxcywh
    (yolo)."""
    max_pixels: PositiveInt = MAX_PIXELS
    """Pixels that an image may have; one with more counts as unreadable and is never decoded. Decoding takes about 5
    bytes a pixel, in each worker at once."""
    max_unreadable: ClosedUnitInterval = 0.01
    """Share of the images that may be away (their files cannot be opened) before a stage stops; where more than this
    share are no images, the command ends with exit code 3."""


@dataclass(frozen=True)
class PackConfig:
    """Images in shards."""

    out: str | None = None
    """Where shards go: an empty folder, or a URI such as s3://bucket/path."""
    shard_mb: PositiveInt = 256
    """Megabytes of images in a shard."""
