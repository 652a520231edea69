"""Sizes and times of images in a store, as its folders were listed."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa

from psol_ray.catalog.listing import FILES
from psol_ray.storage.tree import DataPath, StorePath

__all__ = ["store_files"]

_NUM_THREADS = 16


def store_files(root: DataPath, images: pa.Table) -> pa.Table:
    """A table of schema `FILES`, a row an image; folders that no reader has listed are listed now."""
    assert isinstance(root, StorePath)
    image_ids = images.column("image_id").to_pylist()
    folders = list({image_id.rpartition("/")[0] for image_id in image_ids})
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        entries = dict(zip(folders, pool.map(partial(_entries, root), folders), strict=True))
    stats_N2 = np.full((len(image_ids), 2), -1, np.int64)
    for i, image_id in enumerate(image_ids):
        folder, _, name = image_id.rpartition("/")
        if (entry := entries[folder].get(name)) is not None and not entry.is_folder:
            stats_N2[i] = entry.size, entry.modified
    return pa.table({"bytes": stats_N2[:, 0].copy(), "modified": stats_N2[:, 1].copy()}).cast(FILES)


def _entries(root: StorePath, folder: str) -> dict:
    try:
        return (root / folder).entries()
    except FileNotFoundError:
        return {}
