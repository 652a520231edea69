"""CSV: `boxes.csv`, `image_id,x0,y0,x1,y1`, as the `folder` layout has it."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from psol_ray.catalog.csv_columns import CORNERS, check_columns
from psol_ray.errors import UserError, first_line
from psol_ray.evaluation.join import check_rows, mask
from psol_ray.formats.base import ORIGIN_UNKNOWN, ExportRows, MatchedBoxes, Origin, exporting
from psol_ray.formats.paths import source_file
from psol_ray.tables.schemas import boxes_array

__all__ = ["read", "write"]

_FILE = "boxes.csv"
_COLUMNS = ("image_id", *CORNERS)
_AT_ONCE = 1 << 16


def read(folder: Path, catalog: pa.Table, _threshold: float, /) -> MatchedBoxes:
    """Read `boxes.csv`, whose ids are the catalog's own; other columns than these five mean nothing.

    Raises:
        UserError: the file is missing, a column is missing, a row is malformed, or an image is not in the catalog.
    """
    path = source_file(folder, _FILE)
    boxes = _read_rows(path)
    rows = pc.index_in(boxes["image_id"], value_set=catalog.column("image_id").combine_chunks())
    check_rows(boxes, mask(pc.is_null(rows)), str(path), "not in the catalog; import boxes of its images alone")
    return MatchedBoxes(np.asarray(rows, np.int64), boxes_array(boxes))


def _read_rows(path: Path) -> pa.Table:
    """The five columns; a corner that is empty or "nan" is NaN."""
    try:
        texts, *numbers = _header(path)
        types = {texts: pa.string(), **dict.fromkeys(numbers, pa.float64())}
        table = arrow_csv.read_csv(
            path,
            # One thread says which row an error is in.
            arrow_csv.ReadOptions(use_threads=False),
            arrow_csv.ParseOptions(newlines_in_values=True),
            arrow_csv.ConvertOptions(column_types=types, include_columns=[texts, *numbers]),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error) as error:
        # What a header without a line break after it is to Arrow.
        if "Empty CSV file" in str(error):
            return pa.table([pa.array([], pa.string()), *[pa.array([], pa.float64())] * 4], list(_COLUMNS))
        raise UserError(
            f"{path}: found {first_line(error)}, expected {len(CORNERS)} numbers after each image_id, in UTF-8; fix it"
        ) from None
    return pa.table([table[texts], *(pc.fill_null(table[name], np.nan) for name in numbers)], list(_COLUMNS))


def _header(path: Path) -> list[str]:
    """What the five columns are called, with the blanks around them."""
    # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    names = [name.strip() for name in header]
    check_columns(path, names, _COLUMNS, "boxes.imported.coordinates")
    return [header[names.index(name)] for name in _COLUMNS]


def write(folder: str | Path, catalog: pa.Table, table: pa.Table, _origin: Origin = ORIGIN_UNKNOWN, /) -> int:
    """Write `boxes.csv`, in pixels of the original image, not rounded; it can be read again to the last digit.

    Raises:
        UserError: the folder is taken, or the table does not fit the catalog.
    """
    with exporting(folder, catalog, table) as (unfinished, rows):
        _write_rows(unfinished / _FILE, rows)
    return rows.num_left_out


def _write_rows(path: Path, rows: ExportRows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        # A million boxes as texts would take a gigabyte.
        for start in range(0, len(rows.images), _AT_ONCE):
            names = rows.images.column("image_id").slice(start, _AT_ONCE).to_pylist()
            # NumPy prints the fewest digits that give the same float32 again.
            corners_N4 = rows.boxes_N4[start : start + _AT_ONCE].astype(np.float32).astype(str).tolist()
            writer.writerows([name, *box] for name, box in zip(names, corners_N4, strict=True))
