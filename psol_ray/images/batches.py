"""Batches of the images of catalog rows, decoded ahead of whoever works on them."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.errors import ImagesAway
from psol_ray.images.batch import DecodedBatch, Decoder
from psol_ray.images.prefetch import prefetch

__all__ = ["decode_ahead", "decode_what_is_here", "has_size"]

T = TypeVar("T")


def decode_ahead(
    paths: Sequence[str], decode: Callable[[Sequence[str]], T], batch_size: int
) -> Iterator[tuple[slice, T]]:
    """Which rows a batch holds, and what `decode` makes of their files, one batch ahead in a thread."""
    starts = range(0, len(paths), batch_size)
    rows = (slice(start, min(start + batch_size, len(paths))) for start in starts)
    yield from prefetch((these, decode(paths[these])) for these in rows)


def decode_what_is_here(
    decoder: Decoder,
    paths: Sequence[str],
    regions_N4: NDArray[np.integer] | None = None,
    flips_N: NDArray[np.bool_] | None = None,
) -> tuple[DecodedBatch, set[str]]:
    """What `decoder` makes of these files, and which of them are away; those are not ok."""
    away: set[str] = set()
    while True:
        try:
            here = ["" if path in away else path for path in paths]
            return decoder.decode(here, regions_N4, flips_N), away
        except ImagesAway as error:
            # Again, because one may go while the others are decoded.
            away |= set(error.paths)


def has_size(images: pa.Table) -> NDArray[np.bool_]:
    """Which catalog rows have a size: shape (N,). One without is unreadable, even where a decoder could take it.

    A picture too large for Pillow has no size in the catalog; DALI may read it, but its box would mean nothing.
    """
    return np.asarray(images.column("width").to_numpy() > 0)
