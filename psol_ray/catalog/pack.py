"""Writes the images of a catalog into tar shards, as WebDataset reads them, and the index by which they are found.

A million small files cannot be listed in a store, nor read at a rate: a request each. In a shard a class's images lie
side by side. Each is there as it was, to the byte: `KEY.jpg`, its label as `KEY.cls`, and its catalog row as
`KEY.json`, for other readers. What is in a shard is known before an image is read, so that shards which are there are
not written again.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.headers import size_of
from psol_ray.catalog.listing import FILES
from psol_ray.catalog.shard_index import INDEX_FILE, to_index
from psol_ray.errors import UserError, abbreviate
from psol_ray.images.picture_formats import picture_suffixes
from psol_ray.images.stored import sniff_suffix
from psol_ray.storage.addresses import PARQUET, image_addresses
from psol_ray.storage.ahead import fetched, read_bytes
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.folder import Folder
from psol_ray.tables.schemas import CATALOG, PLACES

__all__ = ["pack"]

_BLOCK = tarfile.BLOCKSIZE
_END = 2 * _BLOCK
_NUM_THREADS = 8
_IMAGES_AT_ONCE = 256
_SOURCE = "_packed_from"
_ANY = ".jpg"  # where no suffix is known yet


@dataclass(frozen=True)
class _Member:
    """A file of a shard: what is before its bytes, and these, None for those of an image.

    Of an image whose name does not say what it is, `key` is the name, and its bytes say the suffix.
    """

    header: bytes
    size: int
    data: bytes | None = None
    key: str | None = None

    @property
    def whole(self) -> int:
        return len(self.header) + self.size + -self.size % _BLOCK

    def header_for(self, data: bytes) -> bytes:
        """What is before these bytes; as long as planned, for which a wrong suffix is put up with."""
        header = self.header if self.key is None else _header(self.key + sniff_suffix(data), self.size)
        return header if len(header) == len(self.header) else self.header


@dataclass(frozen=True)
class _Shard:
    name: str
    images: pa.Table
    members: list[list[_Member]]
    """Of each image: itself, and what is said of it."""

    @property
    def size(self) -> int:
        return sum(member.whole for members in self.members for member in members) + _END

    @property
    def offsets(self) -> list[int]:
        found, at = [], 0
        for members in self.members:
            found.append(at + len(members[0].header))
            at += sum(member.whole for member in members)
        return found


def pack(images: pa.Table, root: str, out: Folder, shard_bytes: int, progress: Callable[[int], None]) -> pa.Table:
    """Write the shards that are not there yet, and the index last.

    Args:
        images: the catalog, with the columns of `FILES` and, where images lie in shards, of `PLACES`.
        root: the folder that they are below.
        out: where shards go.
        shard_bytes: of images in a shard, at the most, unless one image has more.
        progress: called with the number of images that are done.

    Returns:
        The rows that were packed, with their new places.

    Raises:
        UserError: `out` holds other shards, an image cannot be read, or is not what it was.
    """
    images = _with_sizes(_in_order(images.filter(pc.greater_equal(images["bytes"], 0))), root)
    there = _claim(out, images, shard_bytes)
    done, packed, sizes = 0, [], {}
    for shard in _plan(images, shard_bytes):
        if there.get(shard.name) != shard.size:
            out.write_bytes(shard.name, _tar(shard, root))
        done += len(shard.images)
        progress(done)
        sizes[shard.name] = shard.size
        packed.append(_with_places(shard))
    table = pa.concat_tables(packed)
    out.write_bytes(INDEX_FILE, to_index(table, sizes))
    return table


def _in_order(images: pa.Table) -> pa.Table:
    """By split and class; as they lie, where each is a cell of Parquet, of which a row group is read for one."""
    if "shard" in images.column_names and pc.any(pc.ends_with(images["shard"], PARQUET)).as_py():
        return images.sort_by([("split", "descending"), ("shard", "ascending"), ("offset", "ascending")])
    return images.sort_by([("split", "descending"), ("label", "ascending"), ("image_id", "ascending")])


def _with_sizes(images: pa.Table, root: str) -> pa.Table:
    """Those that are too large for this run have sizes, too: another may have a higher `data.max_pixels`."""
    sizes_N2 = image_sizes(images)
    unknown = np.flatnonzero(sizes_N2[:, 0] == 0)
    for start in range(0, len(unknown), _IMAGES_AT_ONCE):
        some = unknown[start : start + _IMAGES_AT_ONCE]
        sizes_N2[some] = [size_of(data) for data in _read(root, images.take(some))]
    for i, name in enumerate(("width", "height")):
        at = images.schema.get_field_index(name)
        images = images.set_column(at, CATALOG.field(name), pa.array(sizes_N2[:, i].astype(np.int32)))
    return images


def _claim(out: Folder, images: pa.Table, shard_bytes: int) -> dict[str, int]:
    """The shards that are there, if they are of these images."""
    digest = hashlib.sha256(str(shard_bytes).encode())
    # All that goes into a shard, and the time: a file that was replaced by one of the same size is another.
    for batch in images.select([*CATALOG.names, *FILES.names]).combine_chunks().to_batches():
        digest.update(batch.serialize())
    claim = digest.hexdigest().encode()
    there = {info.base_name: info.size for info in out.entries() if not info.base_name.startswith(".")}
    if there and out.read_bytes(_SOURCE) != claim:
        shown = abbreviate(sorted(there))
        raise UserError(
            f"pack.out {out.address}: found {shown} there, expected an empty folder, or one in which these very images"
            " were being packed; give another"
        )
    out.write_bytes(_SOURCE, claim)
    return there


def _plan(images: pa.Table, shard_bytes: int) -> Iterator[_Shard]:
    keys = _Keys()
    for split in pc.unique(images["split"]).to_pylist():
        rows = images.filter(pc.equal(images["split"], split))
        total_N = np.cumsum(rows["bytes"].to_numpy())
        start = number = 0
        while start < len(rows):
            before = total_N[start - 1] if start else 0
            stop = max(int(np.searchsorted(total_N, before + shard_bytes, side="right")), start + 1)
            part = rows.slice(start, stop - start)
            yield _Shard(f"{split}-{number:05d}.tar", part, [_members(row, keys) for row in part.to_pylist()])
            start, number = stop, number + 1


class _Keys:
    """Names of members up to the first dot, which must differ: what has the same is one sample to other readers."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, image_id: str) -> tuple[str, str]:
        """Key and suffix of an image; none where other readers would not take the file for an image by that."""
        stem, suffix = os.path.splitext(image_id)
        if suffix.lower() not in picture_suffixes():
            stem, suffix = image_id, ""
        folder, _, name = stem.rpartition("/")
        name = name.replace(".", "_")
        key = f"{folder}/{name}" if folder else name
        while key in self._taken:
            key += f"_{suffix[1:]}"
        self._taken.add(key)
        return key, suffix


def _members(row: dict[str, Any], keys: _Keys) -> list[_Member]:
    key, suffix = keys.of(row["image_id"])
    said = {name: row[name] for name in ("image_id", "class_name", "label", "split", "width", "height", "gt_boxes")}
    texts = {".cls": str(row["label"]).encode(), ".json": json.dumps(said, separators=(",", ":")).encode()}
    image = _Member(_header(key + (suffix or _ANY), row["bytes"]), row["bytes"], key=None if suffix else key)
    return [
        image,
        *(_Member(_header(key + name, len(text)), len(text), text) for name, text in texts.items()),
    ]


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _tar(shard: _Shard, root: str) -> bytes:
    content = bytearray()
    for start in range(0, len(shard.images), _IMAGES_AT_ONCE):
        rows = shard.images.slice(start, _IMAGES_AT_ONCE)
        datas = _read(root, rows)
        for members, data in zip(shard.members[start : start + len(rows)], datas, strict=True):
            for member in members:
                bytes_of = data if member.data is None else member.data
                content += member.header_for(bytes_of) + bytes_of + bytes(-len(bytes_of) % _BLOCK)
    return bytes(content + bytes(_END))


def _read(root: str, images: pa.Table) -> Sequence[bytes]:
    # Also of images without a size: what is no image today may be one to another decoder.
    any_size = images.set_column(images.column_names.index("width"), "width", pa.array(np.ones(len(images), np.int32)))
    addresses = image_addresses(root, any_size)
    with fetched(addresses), ThreadPoolExecutor(_NUM_THREADS) as threads:
        try:
            datas = list(threads.map(read_bytes, addresses))
        except OSError as error:
            raise UserError(
                f"{error.filename}: cannot be read ({error.strerror}), expected an image of the catalog; put it back,"
                " or run `psol index --overwrite`"
            ) from None
    for address, data, size in zip(addresses, datas, images["bytes"].to_pylist(), strict=True):
        if len(data) != size:
            raise UserError(
                f"{address}: found {len(data):,} bytes, expected {size:,} as when it was indexed;"
                " run `psol index --overwrite`"
            )
    return datas


def _with_places(shard: _Shard) -> pa.Table:
    images = shard.images.drop_columns([name for name in ("shard", "offset") if name in shard.images.column_names])
    places = {"shard": pa.repeat(shard.name, len(images)), "offset": pa.array(shard.offsets, pa.int64())}
    for name, column in places.items():
        images = images.append_column(PLACES.field(name), column)
    return images
