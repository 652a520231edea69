"""A few images of the data, wherever these lie, without listing all of a disk."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.layouts import list_data
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.layout import data_of
from psol_ray.preflight.places import sample_images
from psol_ray.storage.addresses import Address, image_addresses, is_uri
from psol_ray.tables.files import absolute

__all__ = ["some_images"]

_IN_SHARDS = ("webdataset", "parquet")


def some_images(context: Context, number: int, seed: int) -> list[Address]:
    """Up to `number` images, drawn by chance: below a folder of this machine without a catalog, else from that or, of a
    store or of shards, from their listing.

    Raises:
        UserError: the data cannot be listed.
    """
    root = absolute(context.config.data.root)
    data = data_of(context)
    if not is_uri(root) and data.layout not in _IN_SHARDS:
        return list(sample_images(root, number, seed))
    if context.stage("catalog").made_by() is not None:
        images = context.catalog().filter(pc.field("width") > 0)
    else:
        listing = list_data(data.layout, root, data.metadata and absolute(data.metadata))
        images = listing.images
        if "shard" in images.column_names and listing.files is not None:
            images = images.append_column("bytes", listing.files["bytes"])
        if "width" not in images.column_names:
            images = images.append_column("width", pa.array(np.ones(len(images), np.int32)))
    drawn = np.random.default_rng(seed).permutation(len(images))[:number]
    return image_addresses(root, images.take(pa.array(np.sort(drawn))))
