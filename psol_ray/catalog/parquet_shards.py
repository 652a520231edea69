"""Images in a column of Parquet files, as the hubs of machine learning share data sets."""

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from psol_ray.catalog.headers import size_of
from psol_ray.catalog.listing import Listing
from psol_ray.catalog.passed_over import Reason
from psol_ray.catalog.shard_index import INDEX_FILE
from psol_ray.catalog.shards import Shard, ShardImages, find_shards, list_shards
from psol_ray.errors import UserError
from psol_ray.storage.addresses import PARQUET
from psol_ray.storage.image_column import ImageColumn, find_image_column
from psol_ray.storage.tree import DataPath, open_stream

__all__ = ["list_parquet_shards"]

_CLASS_COLUMNS = ("class_name", "wnid", "synset", "label", "labels", "class", "cls", "category", "fine_label")
_ROWS_AT_ONCE = 64
# Of each column; else a row group would be held whole.
_BUFFER_BYTES = 1 << 20


def list_parquet_shards(root: DataPath) -> Listing:
    """List the images of Parquet files::

        *.parquet, data/*.parquet, {train,validation}/*.parquet
            image   struct<bytes, path>, or binary
            label   a number, named by the file's own metadata where these name classes; or a text

    Names with `train` in them are training images, those with `val` or else `test` the test split. Rows without a
    label (a negative one, null) are passed over.

    Raises:
        UserError: there are no such files, or one has no column of images, or none of classes, or a label without a
            name where others have one.
    """
    shards = [shard for shard in find_shards(root, PARQUET) if shard.name != INDEX_FILE]
    if not shards:
        raise UserError(
            f"{root}: found no .parquet files, expected shards such as train-00000.parquet; set data.root to them"
        )
    return list_shards(root, shards, _read_shard)


def _read_shard(shard: Shard) -> ShardImages:
    images = ShardImages()
    try:
        with open_stream(shard.path) as file:
            table = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
            _take_in(shard, table, images)
    except (pa.ArrowInvalid, pa.ArrowException) as error:
        first = str(error).partition("\n")[0]
        raise UserError(f"{shard.path}: found {first}, expected a whole Parquet file; copy it anew") from None
    return images


def _take_in(shard: Shard, table: pq.ParquetFile, images: ShardImages) -> None:
    schema = table.schema_arrow
    column = find_image_column(str(shard.path), schema)
    label, name_of = _classes(shard, schema, column)
    row = 0
    # All of an image's struct: its path names the image.
    for batch in table.iter_batches(_ROWS_AT_ONCE, columns=[column.name, label]):
        cells, labels = batch.column(column.name).to_pylist(), batch.column(label).to_pylist()
        for cell, value in zip(cells, labels, strict=True):
            own_name = f"{row:06d}"
            data = (cell or {}).get("bytes") if column.is_struct else cell
            path = (cell or {}).get("path") if column.is_struct else None
            class_name = name_of(value)
            if class_name is None:
                images.passed_over[Reason.UNLABELLED, ""] += 1
            else:
                name, place = (path or "").lstrip("/") or own_name, (row, len(data or b""))
                images.add(name, class_name, place, size_of(data or b""), own_name=own_name)
            row += 1


def _classes(shard: Shard, schema: pa.Schema, column: ImageColumn) -> tuple[str, Callable[[Any], str | None]]:
    """The column of classes, and what a value of it is called; None for no class."""
    names = {name.lower(): name for name in schema.names if name != column.name}
    found = next((names[name] for name in _CLASS_COLUMNS if name in names), None)
    if found is None:
        raise UserError(
            f"{shard.path}: found the columns {', '.join(schema.names)}, expected one of classes"
            f" ({', '.join(_CLASS_COLUMNS)}); rename it"
        )
    said = _hub_names(schema, found)

    def name_of(value: Any) -> str | None:
        if value is None or (isinstance(value, int | float) and not value >= 0):  # nor is "not a number" one
            return None
        if isinstance(value, bytes):
            return value.decode(errors="backslashreplace")
        if not isinstance(value, int):
            return str(value)
        if said and value >= len(said):
            raise UserError(
                f"{shard.path}: found the label {value}, expected one of the {len(said)} classes that its metadata"
                " name, counted from 0; mend the labels, or take the names out of the metadata"
            )
        return said[value] if said else f"{value:04d}"

    return found, name_of


def _hub_names(schema: pa.Schema, column: str) -> list[str]:
    """Names of classes in the metadata that Hugging Face's `datasets` writes, made unique by their numbers."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        names = [str(name) for name in features[column]["names"]]
    except (ValueError, KeyError, TypeError):
        return []
    # ImageNet has two cranes and two maillots.
    return [name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names)]
