"""Where the bytes of an image are: a file on a disk, an object of a store, a part of a tar shard, or a cell of Parquet.

A catalog row says it by its `image_id` alone where every image is a file, and by `PLACES` beside it where images lie
in shards. What opens images is given addresses, and need not know which of these they are.
"""

import os
from collections.abc import Collection, Sequence
from typing import NamedTuple

import pyarrow as pa

from psol_ray.errors import without_secrets

__all__ = ["PARQUET", "Address", "Cell", "Span", "file_address", "image_addresses", "is_uri"]

PARQUET = ".parquet"
"""How shards end whose images are cells of a table; all others are tar files."""


class Span(NamedTuple):
    """Bytes of a file below `root`, which may be a URI: all of them, or `length` from `offset`."""

    root: str
    file: str
    offset: int = 0
    length: int = -1

    def __str__(self) -> str:
        part = "" if self.length < 0 else f" (bytes {self.offset:,} to {self.offset + self.length:,})"
        return f"{_joined(self.root, self.file)}{part}"


class Cell(NamedTuple):
    """The image in one row of a Parquet file below `root`."""

    root: str
    file: str
    row: int

    def __str__(self) -> str:
        return f"{_joined(self.root, self.file)} (row {self.row:,})"


def _joined(root: str, file: str) -> str:
    return f"{without_secrets(root).partition('?')[0].rstrip('/')}/{file}" if root else file


Address = str | Span | Cell
"""An absolute path on this machine, or what only `storage.reader` can open. The empty one is opened by nobody."""


def is_uri(path: str) -> bool:
    """Whether it is the address of a store, and not a path on this machine."""
    return "://" in path


def file_address(root: str, image_id: str) -> Address:
    """The address of an image that is a file by itself."""
    return Span(root, image_id) if is_uri(root) else os.path.join(root, image_id)


def image_addresses(root: str, images: pa.Table, left_out: Collection[str] = ()) -> list[Address]:
    """The addresses of catalog rows, in the same order.

    Empty for a row without a size, and for images that are left out: these are opened by nobody.

    Args:
        root: `data.root`, absolute or a URI.
        images: catalog rows, with the columns of `PLACES` where images lie in shards.
        left_out: ids of images.
    """
    widths = images.column("width").to_pylist()
    found = _all_addresses(root, images)
    if not left_out:
        return [address if width > 0 else "" for address, width in zip(found, widths, strict=True)]
    image_ids = images.column("image_id").to_pylist()
    rows = zip(found, widths, image_ids, strict=True)
    return [address if width > 0 and image_id not in left_out else "" for address, width, image_id in rows]


def _all_addresses(root: str, images: pa.Table) -> Sequence[Address]:
    image_ids = images.column("image_id").to_pylist()
    if "shard" in images.column_names:
        shards, offsets, sizes = (images.column(name).to_pylist() for name in ("shard", "offset", "bytes"))
        places = zip(shards, offsets, sizes, strict=True)
        return [
            Cell(root, shard, offset) if shard.endswith(PARQUET) else Span(root, shard, offset, size)
            for shard, offset, size in places
        ]
    if is_uri(root):
        return [Span(root, image_id) for image_id in image_ids]
    # What `os.path.join` gives, in a quarter of the time: a device waits for the paths of its class.
    below = os.path.join(root, "")
    return [os.path.join(root, image_id) if image_id.startswith("/") else below + image_id for image_id in image_ids]
