"""The index that `psol pack` writes beside its shards: the catalog of their images, and where each lies."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from psol_ray.catalog.listing import Listing
from psol_ray.catalog.shards import Shard
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath
from psol_ray.tables.schemas import CATALOG, PLACES

__all__ = ["INDEX_FILE", "read_index", "to_index"]

INDEX_FILE = "psol.parquet"
_SIZES = b"psol_shards"


def to_index(images: pa.Table, sizes: Mapping[str, int]) -> bytes:
    """The index as a file.

    Args:
        images: columns of `CATALOG` and `PLACES`.
        sizes: bytes of each shard.
    """
    table = images.select([*CATALOG.names, *PLACES.names]).replace_schema_metadata({_SIZES: json.dumps(dict(sizes))})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def read_index(root: DataPath, path: DataPath, shards: Sequence[Shard]) -> Listing:
    """The listing of an index; no shard is opened.

    Raises:
        UserError: it cannot be read, or shards are missing, of another size, or not in it.
    """
    try:
        table = pq.read_table(pa.BufferReader(path.read_bytes()))
        sizes = json.loads((table.schema.metadata or {})[_SIZES])
        images = table.select([*CATALOG.names, *PLACES.names])
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: found no index of shards ({str(error).partition(chr(10))[0]}), expected what `psol pack` writes;"
            " pack them anew, or delete it, and the shards are read instead"
        ) from None
    there = {shard.name: shard for shard in shards}
    missing = [name for name in sizes if name not in there]
    if missing:
        raise UserError(f"{root}: found no {abbreviate(missing)}, which {path.name} lists; copy the shards anew")
    more = [name for name in there if name not in sizes]
    if more:
        raise UserError(
            f"{root}: found {abbreviate(more)}, which {path.name} does not list; move them elsewhere, or delete"
            f" {path.name}, and all shards are read instead"
        )
    cut = [name for name, size in sizes.items() if there[name].size != size]
    if cut:
        raise UserError(
            f"{there[cut[0]].path}: found {there[cut[0]].size:,} bytes, expected {sizes[cut[0]]:,}; copy"
            f" {'it' if len(cut) == 1 else f'it and {len(cut) - 1} other shards'} anew"
        )
    modified = pa.array([there[name].modified for name in sizes], pa.int64())
    numbers = pc.index_in(images["shard"], value_set=pa.array(list(sizes)))
    files = pa.table({"bytes": images["bytes"], "modified": modified.take(numbers.combine_chunks())})
    listed = images.drop_columns(["bytes"]).replace_schema_metadata(None).combine_chunks()
    return Listing(listed, annotations=[path], files=files)
