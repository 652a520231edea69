"""A part of a table as a Parquet file that says what made it."""

import pyarrow as pa
import pyarrow.parquet as pq

from psol_ray.errors import UserError, first_line
from psol_ray.tables.provenance import Provenance
from psol_ray.tables.written import WRITTEN, Written

__all__ = ["is_made_by", "is_of_another", "read_part", "to_parquet"]

_MADE_BY = b"psol_ray"


def to_parquet(table: pa.Table, made_by: Provenance, written: Written | None = None) -> bytes:
    """The file of a table, with its provenance in the metadata, and who wrote it."""
    sink = pa.BufferOutputStream()
    metadata = {_MADE_BY: made_by.to_json()} | ({WRITTEN: written.to_json()} if written else {})
    pq.write_table(table.replace_schema_metadata(metadata), sink)
    return sink.getvalue().to_pybytes()


def is_made_by(data: bytes | None, claimed: Provenance | None) -> bool:
    """Whether a file is a whole part, and not one of another configuration; somebody else's does not say."""
    try:
        made_by = None if data is None else _made_by(pq.read_schema(pa.BufferReader(data)))
    except (pa.ArrowException, OSError):
        return False
    return data is not None and not is_of_another(made_by, claimed)


def is_of_another(made_by: Provenance | None, claimed: Provenance | None) -> bool:
    """Whether a part says that another configuration made it than the one that claimed the stage."""
    return made_by is not None and claimed is not None and made_by.fingerprint != claimed.fingerprint


def _made_by(schema: pa.Schema) -> Provenance | None:
    text = (schema.metadata or {}).get(_MADE_BY)
    return None if text is None else Provenance.from_json(text.decode())


def read_part(where: str, data: bytes, wanted: pa.Schema) -> tuple[pa.Table, Provenance | None]:
    """The table of a file, and what made it if the file says so.

    Args:
        where: what messages call the file.
        data: its content.
        wanted: the columns to read; others may be there.

    Raises:
        UserError: it is no Parquet, or has not these columns.
    """
    try:
        # A ParquetFile, because `read_table` makes columns of folders named like `label=3`.
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            schema = file.schema_arrow
            missing = [field.name for field in wanted if schema.get_field_index(field.name) < 0]
            if missing:
                raise UserError(f"{where}: columns {missing} are missing; found {schema.names}")
            table = file.read(wanted.names)
        return table.select(wanted.names).replace_schema_metadata(None).cast(wanted), _made_by(schema)
    except (pa.ArrowException, OSError) as error:  # the latter where pages are damaged
        names = ", ".join(f"{field.name}: {field.type}" for field in wanted)
        raise UserError(f"{where}: found no table of {names} ({first_line(error)})") from None
