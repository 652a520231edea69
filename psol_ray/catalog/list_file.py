"""The file of a list of images, CSV or Parquet, as columns of text."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from psol_ray.catalog.csv_columns import CORNERS, check_columns
from psol_ray.catalog.faults import Faults
from psol_ray.errors import UserError, first_line
from psol_ray.storage.tree import DataPath, open_stream

__all__ = ["CLASS", "LISTS", "PATH", "SPLIT", "find_list", "read_list"]

PATH, CLASS, SPLIT = "path", "class", "split"
LISTS = ("images.csv", "images.parquet")
_COLUMNS = (PATH, CLASS, SPLIT, *CORNERS)
_SHOWN = 60  # characters of a line


def find_list(root: DataPath) -> DataPath:
    """The list in a root.

    Raises:
        UserError: there is none, or both.
    """
    there = [root / name for name in LISTS if (root / name).is_file()]
    if len(there) != 1:
        found = "both" if there else "neither"
        raise UserError(
            f"{root}: found {found} images.csv and images.parquet, expected one of them, with a column path;"
            f" {'move one elsewhere' if there else 'write it, or set data.root to the folder that has it'}"
        )
    return there[0]


def read_list(path: DataPath, faults: Faults) -> pa.Table:
    """Those of the columns that are there, as texts without blanks around them, null where a cell is empty.

    Raises:
        UserError: it cannot be read, or lacks `path`, or has some of the corners and not all.
    """
    table = _read_parquet(path) if path.name.endswith(".parquet") else _read_csv(path, faults)
    columns = {}
    for name in table.column_names:
        texts = pc.utf8_trim_whitespace(table[name])
        columns[name] = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    return pa.table(columns)


def _wanted(path: DataPath, found: Sequence[str]) -> list[str]:
    """Columns that are read of those that are there."""
    corners = CORNERS if any(name in CORNERS for name in found) else ()
    check_columns(path, found, (PATH, *corners), "data.coordinates")
    return [name for name in _COLUMNS if name in found]


def _read_csv(path: DataPath, faults: Faults) -> pa.Table:
    malformed: list[str] = []

    def skip(row: csv.InvalidRow) -> str:
        malformed.append(row.text[:_SHOWN])
        return "skip"

    try:
        with open_stream(path) as file:
            header = file.readline().decode("utf-8-sig")  # spreadsheets put a byte order mark before it
        names = [name.strip().strip('"').strip() for name in header.strip().split(",")]
        wanted = _wanted(path, names)
        with open_stream(path) as file:
            table = csv.read_csv(
                file,
                csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
                csv.ParseOptions(invalid_row_handler=skip),
                csv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())),
            )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise UserError(f"{path}: found {first_line(error)}, expected CSV in UTF-8; save it as such") from None
    faults.add(path, f"lines that have not {len(names)} values", malformed)
    return table


def _read_parquet(path: DataPath) -> pa.Table:
    try:
        with open_stream(path) as file:
            parquet = pq.ParquetFile(file)
            wanted = _wanted(path, parquet.schema_arrow.names)
            table = parquet.read(wanted)
        return pa.table({name: table[name].cast(pa.string()) for name in wanted})
    except pa.ArrowException as error:
        raise UserError(
            f"{path}: found {first_line(error)}, expected columns of texts and numbers; write it anew"
        ) from None
