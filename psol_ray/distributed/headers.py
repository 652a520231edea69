"""Image sizes from headers, in Ray tasks: reading 1.28 M of them is bound by the disk, not by one core."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayTaskError

from psol_ray.catalog import read_sizes
from psol_ray.distributed.progress import show_progress
from psol_ray.errors import UserError

__all__ = ["read_sizes_in_parallel"]

_FILES_A_TASK = 2048


@ray.remote(num_cpus=1, max_retries=3)
def _read_chunk(root: str, image_ids: Sequence[str], name: str, board: Any) -> NDArray[np.int32]:
    sizes_N2 = read_sizes(root, image_ids)
    board.set.remote(name, len(image_ids))
    return sizes_N2


def read_sizes_in_parallel(root: str, image_ids: Sequence[str]) -> NDArray[np.int32]:
    """`(width, height)` of every image, in order; `(0, 0)` for an unreadable one.

    Raises:
        UserError: `root` is not a folder on one of the machines.
    """
    starts = range(0, len(image_ids), _FILES_A_TASK)
    with show_progress("Reading headers", len(image_ids)) as board:
        chunks = [
            _read_chunk.remote(root, image_ids[start : start + _FILES_A_TASK], str(start), board) for start in starts
        ]
        try:
            return np.concatenate(ray.get(chunks))
        except RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise error.cause from None
            raise
