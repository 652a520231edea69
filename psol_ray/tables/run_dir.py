"""A run directory: where stages put their tables, whole or not at all, on any pyarrow filesystem.

Every stage has a folder. `_STARTED` is written first and claims it for one fingerprint; a part appears by rename (one
put on object stores); `_SUCCESS` is written last. A stage that finds its own claim and `_SUCCESS` has nothing to do.
"""

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from psol_ray.errors import UserError
from psol_ray.tables.fingerprint import Provenance

__all__ = ["RunDir", "StageDir"]

_STARTED = "_STARTED"
_SUCCESS = "_SUCCESS"
_COMMANDS = {
    "catalog": "index",
    "localizer": "train localizer",
    "classifier": "train classifier",
    "joint": "train joint",
    "predictions": "predict",
}
_MADE_BY = b"psol_ray"


def _open(uri: str) -> tuple[pafs.FileSystem, str]:
    if "://" in uri:
        try:
            return pafs.FileSystem.from_uri(uri)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"run_dir: {uri!r} cannot be opened ({error}); give a local path or an s3:// URI") from None
    # Absolute, because workers need not share the driver's working directory.
    return pafs.LocalFileSystem(), os.path.abspath(uri)


@dataclass(frozen=True)
class RunDir:
    """A run directory, local or remote, given as a path or a URI."""

    uri: str

    @cached_property
    def _location(self) -> tuple[pafs.FileSystem, str]:
        return _open(self.uri)

    @property
    def location(self) -> str:
        """Absolute path, or path in the bucket."""
        return self._location[1]

    def stage(self, name: str) -> "StageDir":
        """The folder of one stage; nothing is created."""
        fs, path = self._location
        return StageDir(fs, f"{path}/{name}")

    def write_text(self, name: str, text: str) -> None:
        """Write a small file at the top, whole or not at all."""
        fs, path = self._location
        StageDir(fs, path).write_bytes(name, text.encode())

    def read_text(self, name: str) -> str | None:
        """A small file at the top, or None where there is none."""
        fs, path = self._location
        return StageDir(fs, path).read_text(name)


@dataclass(frozen=True)
class StageDir:
    """One stage's folder in a run directory."""

    fs: pafs.FileSystem
    path: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write one file so that it appears whole or not at all."""
        folder, _, _ = f"{self.path}/{name}".rpartition("/")
        self.fs.create_dir(folder, recursive=True)
        local = isinstance(self.fs, pafs.LocalFileSystem)
        # An object store shows a stream's object only once it is closed; a POSIX file has to be renamed into place.
        target = f"{self.path}/{name}"
        written = f"{folder}/.{uuid.uuid4().hex}.tmp" if local else target
        with self.fs.open_output_stream(written) as stream:
            stream.write(data)
        if local:
            self.fs.move(written, target)

    def read_bytes(self, name: str) -> bytes | None:
        """Content of one file, or None where there is none."""
        path = f"{self.path}/{name}"
        if self.fs.get_file_info(path).type != pafs.FileType.File:
            return None
        with self.fs.open_input_stream(path) as stream:
            return stream.read()

    def read_text(self, name: str) -> str | None:
        """Content of one text file, or None where there is none."""
        data = self.read_bytes(name)
        return None if data is None else data.decode()

    def write_part(self, name: str, table: pa.Table, made_by: Provenance) -> None:
        """Write `NAME.parquet`, its provenance in the file's metadata."""
        sink = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata({_MADE_BY: made_by.to_json()}), sink)
        self.write_bytes(f"{name}.parquet", sink.getvalue().to_pybytes())

    def parts(self) -> list[str]:
        """Names of the parts that are there, sorted."""
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        names = (info.base_name for info in self.fs.get_file_info(selector))
        return sorted(n.removesuffix(".parquet") for n in names if n.endswith(".parquet") and not n.startswith("."))

    def read(self, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
        """All parts as one table, in the order of their names.

        Raises:
            UserError: the stage is not complete, or its table has other columns.
        """
        self.require()
        return self.read_parts(schema, columns)

    def read_parts(self, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
        """The parts that are there so far, as one table."""
        wanted = schema if columns is None else pa.schema([schema.field(c) for c in columns])
        tables = [self._read_part(name, wanted) for name in self.parts()]
        return pa.concat_tables(tables) if tables else wanted.empty_table()

    def require(self) -> Provenance:
        """What made this complete stage.

        Raises:
            UserError: it is not complete.
        """
        found = self.made_by()
        if found is None:
            command = _COMMANDS.get(self.name, self.name)
            raise UserError(f"{self.path}: found no complete {self.name}; run `psol {command}` first")
        return found

    def _read_part(self, name: str, wanted: pa.Schema) -> pa.Table:
        path = f"{self.path}/{name}.parquet"
        found = pq.read_schema(path, filesystem=self.fs)
        missing = [field.name for field in wanted if found.get_field_index(field.name) < 0]
        if missing:
            raise UserError(f"{path}: columns {missing} are missing; found {found.names}")
        return pq.read_table(path, filesystem=self.fs, columns=wanted.names).replace_schema_metadata(None).cast(wanted)

    def made_by(self) -> Provenance | None:
        """What made the complete stage; None while it is not complete."""
        return self._provenance(_SUCCESS)

    def _provenance(self, name: str) -> Provenance | None:
        text = self.read_text(name)
        return None if text is None else Provenance.from_json(text)

    def begin(self, wanted: Provenance, *, overwrite: bool) -> bool:
        """Claim the folder for this provenance; True where it is complete already and nothing is left to do.

        Raises:
            UserError: another configuration has claimed it and `overwrite`, which empties it, is not given.
        """
        claimed = self._provenance(_STARTED)
        if claimed is not None and claimed.fingerprint != wanted.fingerprint:
            # A claim with nothing behind it is a run that failed before it made anything.
            if not overwrite and self._holds_results():
                raise UserError(f"{self.path}: {wanted.explain_difference(claimed)}")
            self.fs.delete_dir_contents(self.path)
            claimed = None
        if claimed is None:
            self.write_bytes(_STARTED, wanted.to_json())
        return self.made_by() is not None

    def _holds_results(self) -> bool:
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        names = {info.base_name for info in self.fs.get_file_info(selector)}
        return any(name != _STARTED and not name.startswith(".") for name in names)

    def complete(self, made_by: Provenance, summary: Mapping[str, Any] | None = None) -> None:
        """Declare the stage complete."""
        self.write_bytes(_SUCCESS, made_by.to_json(summary=dict(summary or {})))

    def summary(self) -> dict[str, Any]:
        """What `complete` was given."""
        return json.loads(self.read_text(_SUCCESS) or "{}").get("summary", {})

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which of these parts are not there yet, in the order given."""
        there = set(self.parts())
        return [name for name in names if name not in there]
