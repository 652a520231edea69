"""Parquet: `boxes.parquet`, a row an image, with all that the exported table and the catalog say of it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from psol_ray.catalog.csv_columns import CORNERS, check_columns
from psol_ray.errors import UserError, first_line
from psol_ray.formats.base import ORIGIN_UNKNOWN, ExportRows, MatchedBoxes, Origin, exporting
from psol_ray.formats.classes import Classes, find_classes, scores
from psol_ray.formats.paths import known_rows, source_file
from psol_ray.tables.schemas import BOXES, NO_FOREGROUND, box_columns, boxes_array

__all__ = ["read", "write"]

_FILE = "boxes.parquet"
_MEASURED = BOXES.names[BOXES.get_field_index("status") :]


def read(path: Path, catalog: pa.Table, _threshold: float, /) -> MatchedBoxes:
    """Read `boxes.parquet`, or the file that is named; of its columns only `image_id`, the corners and `status` count.

    Paths of images may begin elsewhere than the catalog's.

    Raises:
        UserError: the file or a column is missing, one is of another type, or a path means no image of the catalog, or
            several.
    """
    file = path if path.is_file() else source_file(path, _FILE)
    try:
        schema = pq.read_schema(file)
        check_columns(file, schema.names, ("image_id", *CORNERS), "boxes.imported.coordinates")
        table = pq.read_table(file, columns=["image_id", *CORNERS, *(["status"] if "status" in schema.names else [])])
        image_ids = pc.fill_null(table.column("image_id").cast(pa.string()), "").combine_chunks()
        corners = {name: pc.fill_null(table.column(name).cast(pa.float64()), np.nan) for name in CORNERS}
    except pa.ArrowException as error:
        raise UserError(
            f"{file}: found {first_line(error)}, expected Parquet with four numbers an image; fix it"
        ) from None
    foreground_M = None
    if "status" in table.column_names:
        foreground_M = ~np.asarray(pc.fill_null(pc.equal(table.column("status"), NO_FOREGROUND), False), bool)
    return MatchedBoxes(known_rows(file, image_ids, catalog), boxes_array(pa.table(corners)), foreground_M)


def write(folder: str | Path, catalog: pa.Table, table: pa.Table, _origin: Origin = ORIGIN_UNKNOWN, /) -> int:
    """Write `boxes.parquet`: to the last digit, with class, score, size and split of each image, and what was measured.

    Raises:
        UserError: the folder is taken, or the table does not fit the catalog.
    """
    with exporting(folder, catalog, table) as (unfinished, rows):
        classes = find_classes(catalog)
        measured = [name for name in _MEASURED if name in table.column_names]
        empty = _columns(rows.of(np.zeros(0, np.int64)), classes, measured)
        with pq.ParquetWriter(unfinished / _FILE, empty.schema, compression="zstd") as writer:
            for some in rows.some():
                writer.write_table(_columns(some, classes, measured))
    return rows.num_left_out


def _columns(rows: ExportRows, classes: Classes, measured: list[str]) -> pa.Table:
    names = pa.array(classes.names, pa.string())
    of_image = {name: rows.images.column(name) for name in ("image_id", "split", "width", "height")}
    return pa.table(
        {
            **of_image,
            "class_name": names.take(pa.array(classes.indices(rows))),
            **box_columns(rows.boxes_N4),
            "score": scores(rows),
            **{name: rows.measured.column(name) for name in measured},
        }
    )
