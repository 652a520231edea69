"""Reads image sizes from headers in Ray tasks: 1.28 M of them are bound by the disk, not by one core."""

from collections.abc import Sequence

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayTaskError

from psol_ray.catalog.headers import read_sizes
from psol_ray.distributed.cluster import check_nodes
from psol_ray.distributed.progress import RemoteTracker, tracked
from psol_ray.errors import UserError
from psol_ray.images.limits import MAX_PIXELS

__all__ = ["read_sizes_in_parallel"]

_FILES_A_TASK = 2048


def _read_chunk(
    root: str, image_ids: Sequence[str], max_pixels: int, name: str, tracker: RemoteTracker
) -> NDArray[np.int32]:
    sizes_N2 = read_sizes(root, image_ids, max_pixels)
    tracker.update(name, len(image_ids))
    return sizes_N2


def read_sizes_in_parallel(root: str, image_ids: Sequence[str], max_pixels: int = MAX_PIXELS) -> NDArray[np.int32]:
    """`(width, height)` of every image, in order; `(0, 0)` for one that is unreadable or larger.

    Raises:
        UserError: `root` is not a folder on one of the machines; or the cluster has no CPUs.
    """
    check_nodes()  # else the tasks would wait for ever
    read = ray.remote(_read_chunk).options(num_cpus=1, max_retries=3)
    starts = range(0, len(image_ids), _FILES_A_TASK)
    with tracked("Reading headers", len(image_ids)) as tracker:
        chunks = [
            read.remote(root, image_ids[start : start + _FILES_A_TASK], max_pixels, str(start), tracker)
            for start in starts
        ]
        try:
            return np.concatenate(ray.get(chunks))
        except RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise error.cause from None
            raise
