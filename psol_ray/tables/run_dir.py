"""A run directory: where stages put their tables, whole or not at all, on any pyarrow filesystem.

Every stage has a folder. `_STARTED` is written first and claims it for one fingerprint; a part appears by rename (one
put on object stores); `_SUCCESS` is written last. A stage that finds its own claim and `_SUCCESS` has nothing to do.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from psol_ray.errors import UserError
from psol_ray.stages import STAGES
from psol_ray.tables.files import open_uri
from psol_ray.tables.provenance import Provenance

__all__ = ["RunDir", "StageDir"]

_STARTED = "_STARTED"
_SUCCESS = "_SUCCESS"
_MADE_BY = b"psol_ray"
_UNFINISHED = ".tmp"
# Where a stream's object appears only once it is closed. Elsewhere a file has to be renamed into place.
_OBJECT_STORES = ("s3", "gcs", "abfs")


@dataclass(frozen=True)
class RunDir:
    """A run directory, local or remote, given as a path or a URI."""

    uri: str

    @cached_property
    def _location(self) -> tuple[pafs.FileSystem, str]:
        return open_uri("run_dir", self.uri)

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
        """Write one file so that it appears whole or not at all.

        Raises:
            UserError: it cannot be written, because the disk is full, say.
        """
        try:
            self._write(f"{self.path}/{name}", data)
        except OSError as error:
            raise UserError(
                f"{self.path}: {name} cannot be written ({error}); fix that, and the same command goes on from here"
            ) from None

    def _write(self, target: str, data: bytes) -> None:
        if self.fs.type_name in _OBJECT_STORES:
            with self.fs.open_output_stream(target) as stream:
                stream.write(data)
            return
        folder, _, _ = target.rpartition("/")
        self.fs.create_dir(folder, recursive=True)
        unfinished = f"{folder}/.{uuid.uuid4().hex}{_UNFINISHED}"
        try:
            with self.fs.open_output_stream(unfinished) as stream:
                stream.write(data)
            self.fs.move(unfinished, target)
        except BaseException:
            # A full disk is better off without it.
            with suppress(OSError):
                self.fs.delete_file(unfinished)
            raise

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
        names = (info.base_name for info in self._entries())
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
        made_by = self.made_by()
        if made_by is None:
            command = STAGES[self.name].command if self.name in STAGES else self.name
            raise UserError(f"{self.path}: found no complete {self.name}; run `psol {command}` first")
        return made_by

    def _read_part(self, name: str, wanted: pa.Schema) -> pa.Table:
        path = f"{self.path}/{name}.parquet"
        try:
            # A ParquetFile, because `read_table` makes columns of folders named like `label=3`.
            with pq.ParquetFile(path, filesystem=self.fs) as file:
                schema = file.schema_arrow
                missing = [field.name for field in wanted if schema.get_field_index(field.name) < 0]
                if missing:
                    raise UserError(f"{path}: columns {missing} are missing; found {schema.names}")
                table = file.read(wanted.names)
            return table.select(wanted.names).replace_schema_metadata(None).cast(wanted)
        except pa.ArrowException as error:
            raise UserError(f"{path}: found no table of {', '.join(map(str, wanted))} ({error})") from None

    def made_by(self) -> Provenance | None:
        """What made the complete stage; None while it is not complete."""
        return self._provenance(_SUCCESS)

    def is_complete(self, wanted: Provenance) -> bool:
        """Whether the stage is complete, and made as wanted."""
        made_by = self.made_by()
        return made_by is not None and made_by.fingerprint == wanted.fingerprint

    def is_there(self) -> bool:
        """Whether anybody has begun to make the stage."""
        return bool(self._entries())

    def _provenance(self, name: str) -> Provenance | None:
        text = self.read_text(name)
        return None if text is None else Provenance.from_json(text)

    def begin(self, wanted: Provenance, *, overwrite: bool) -> bool:
        """Claim the folder for this provenance; True where it is complete already and nothing is left to do.

        Raises:
            UserError: another configuration has claimed it, or it holds results that nobody has claimed, and
                `overwrite`, which empties it, is not given; or it cannot be written.
        """
        claimed = self._provenance(_STARTED) or self.made_by()
        if claimed is not None and claimed.fingerprint == wanted.fingerprint:
            return self.made_by() is not None
        # A claim with nothing behind it is a run that failed before it made anything.
        if not overwrite and self._holds_results():
            raise UserError(f"{self.path}: {_explain(claimed, wanted)}")
        try:
            self._empty()
            self.write_bytes(_STARTED, wanted.to_json())
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error}); expected a run_dir of your own") from None
        return False

    def _entries(self) -> list[pafs.FileInfo]:
        return self.fs.get_file_info(pafs.FileSelector(self.path, allow_not_found=True))

    def _holds_results(self) -> bool:
        return any(info.base_name != _STARTED and not info.base_name.startswith(".") for info in self._entries())

    def _empty(self) -> None:
        """Delete everything but the claim, `_SUCCESS` first: cut short, it leaves an incomplete stage, not a lie."""
        for info in sorted(self._entries(), key=lambda info: info.base_name != _SUCCESS):
            if info.base_name != _STARTED:
                self._delete(info)

    def discard(self, prefix: str) -> None:
        """Delete files and folders whose names begin so: what only a run that is not complete has a use for."""
        for info in self._entries():
            if info.base_name.startswith(prefix):
                self._delete(info)

    def _delete(self, info: pafs.FileInfo) -> None:
        if info.type == pafs.FileType.Directory:
            self.fs.delete_dir(info.path)
        else:
            self.fs.delete_file(info.path)

    def complete(self, made_by: Provenance, summary: Mapping[str, Any] | None = None) -> None:
        """Declare the stage complete, and delete what killed writers left unfinished."""
        self.write_bytes(_SUCCESS, made_by.to_json(summary=dict(summary or {})))
        for info in self._entries():
            if info.base_name.startswith(".") and info.base_name.endswith(_UNFINISHED):
                self.fs.delete_file(info.path)

    def summary(self) -> dict[str, Any]:
        """What `complete` was given."""
        return json.loads(self.read_text(_SUCCESS) or "{}").get("summary", {})

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which of these parts are not there yet, in the order given."""
        written = set(self.parts())
        return [name for name in names if name not in written]


def _explain(claimed: Provenance | None, wanted: Provenance) -> str:
    if claimed is None:
        return "holds files that no run has claimed; use another run_dir, or --overwrite to delete them"
    return wanted.explain_difference(claimed)
