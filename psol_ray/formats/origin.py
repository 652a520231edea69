"""Who made the boxes that are exported, and where their images are: formats that can say so do."""

import os
from dataclasses import dataclass

import pyarrow as pa

from psol_ray import __version__
from psol_ray.storage.addresses import is_uri

__all__ = ["ORIGIN_UNKNOWN", "Origin"]


@dataclass(frozen=True)
class Origin:
    """What a table does not say of itself."""

    title: str = "boxes"
    """What the boxes are: "pseudo boxes (DDT)", say."""
    fingerprint: str = ""
    """Of what made them, see `Provenance`."""
    version: str = __version__
    """Of the psol_ray that made them."""
    data_root: str = ""
    """Where the images are: an absolute path or a URI; "" where nobody knows."""

    def folder_of_images(self, images: pa.Table) -> str | None:
        """The folder below which each image is a file by its id; None where they lie in a store or in shards."""
        in_files = "shard" not in images.column_names and self.data_root and not is_uri(self.data_root)
        return self.data_root if in_files and os.path.isdir(self.data_root) else None


ORIGIN_UNKNOWN = Origin()
