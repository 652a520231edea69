"""Writes the images of a catalog into tar shards, as WebDataset reads them, and the index by which they are found.

A million small files cannot be listed in a store, nor read at a rate: a request each. In a shard a class's images lie
side by side. Each is there as it was, to the byte: `KEY.jpg`, its label as `KEY.cls`, and its catalog row as
`KEY.json`, for other readers. What is in a shard is known before an image is read, so that shards which are there are
not written again.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.headers import size_of
from psol_ray.catalog.listing import FILES
from psol_ray.catalog.pack_plan import BLOCK, END, PlannedShard, plan_shards
from psol_ray.catalog.shard_index import INDEX_FILE, to_index
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.addresses import PARQUET, image_addresses
from psol_ray.storage.ahead import fetched, read_bytes
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.folder import Folder
from psol_ray.tables.schemas import CATALOG, PLACES

__all__ = ["pack"]

_NUM_THREADS = 8
_IMAGES_AT_ONCE = 256
_SOURCE = "_packed_from"


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
    for shard in plan_shards(images, shard_bytes):
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


def _tar(shard: PlannedShard, root: str) -> bytes:
    content = bytearray()
    for start in range(0, len(shard.images), _IMAGES_AT_ONCE):
        rows = shard.images.slice(start, _IMAGES_AT_ONCE)
        datas = _read(root, rows)
        for members, data in zip(shard.members[start : start + len(rows)], datas, strict=True):
            for member in members:
                bytes_of = data if member.data is None else member.data
                content += member.header_for(bytes_of) + bytes_of + bytes(-len(bytes_of) % BLOCK)
    return bytes(content + bytes(END))


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


def _with_places(shard: PlannedShard) -> pa.Table:
    images = shard.images.drop_columns([name for name in ("shard", "offset") if name in shard.images.column_names])
    places = {"shard": pa.repeat(shard.name, len(images)), "offset": pa.array(shard.offsets, pa.int64())}
    for name, column in places.items():
        images = images.append_column(PLACES.field(name), column)
    return images
