"""A run directory: where stages put their tables, whole or not at all, on any pyarrow filesystem.

Every stage has a folder. `_STARTED` is written first and claims it for one fingerprint; a part appears by rename (one
put on object stores); `_SUCCESS` is written last and lists the results. A stage that finds its own claim, `_SUCCESS`
and all that it lists has nothing to do. `_EMPTYING` is there while one is emptied, so that what an emptying that was
cut short has left is nobody's result.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from psol_ray.errors import UserError, abbreviate
from psol_ray.stages import STAGES
from psol_ray.tables.files import open_uri
from psol_ray.tables.folder import UNFINISHED, Folder
from psol_ray.tables.holder import LEASE_FILE
from psol_ray.tables.lease import PROGRESS_FILE
from psol_ray.tables.parts import is_made_by, is_of_another, read_part, to_parquet
from psol_ray.tables.patience import address_of, patiently, sentence
from psol_ray.tables.provenance import Provenance
from psol_ray.tables.rehearsal import rehearse
from psol_ray.tables.written import Written

__all__ = ["RunDir", "StageDir"]

_STARTED = "_STARTED"
_SUCCESS = "_SUCCESS"
_EMPTYING = "_EMPTYING"
# What is there though nobody has made anything yet.
_SAY_NOTHING = (_STARTED, LEASE_FILE, PROGRESS_FILE)
_RESULTS = (".parquet", ".safetensors", ".jsonl")
# Reading a thousand parts of an object store is waiting.
_NUM_THREADS = 16


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

    @property
    def address(self) -> str:
        """Absolute path, or the URI without credentials and parameters."""
        return address_of(*self._location)

    @property
    def name(self) -> str:
        """Its last part, by which logs and metrics call the run."""
        return self.location.rsplit("/", 1)[-1]

    def stage(self, name: str) -> "StageDir":
        """The folder of one stage; nothing is created."""
        fs, path = self._location
        return StageDir(fs, f"{path}/{name}")

    def folder(self) -> Folder:
        """The directory itself; nothing is created."""
        return Folder(*self._location)

    def check_writable(self) -> None:
        """See that results can be written, read and deleted there, and leave nothing behind.

        Raises:
            UserError: they cannot.
        """
        rehearse(self.folder())

    def write_text(self, name: str, text: str) -> None:
        """Write a small file at the top, whole or not at all."""
        self.folder().write_bytes(name, text.encode())

    def read_bytes(self, name: str) -> bytes | None:
        """A small file at the top, or None where there is none."""
        return Folder(*self._location).read_bytes(name)

    def read_text(self, name: str) -> str | None:
        """A small file at the top, or None where there is none."""
        return self.folder().read_text(name)


@dataclass(frozen=True)
class StageDir(Folder):
    """One stage's folder in a run directory."""

    def write_part(self, name: str, table: pa.Table, made_by: Provenance, written: Written | None = None) -> None:
        """Write `NAME.parquet`, its provenance in the file's metadata, and who wrote it."""
        self.write_bytes(f"{name}.parquet", to_parquet(table, made_by, written))

    def written(self) -> list[tuple[Written | None, int]]:
        """Who wrote each part, where it says so, and its rows; of each file the end alone is read.

        Raises:
            UserError: a part cannot be read.
        """

        def read(name: str) -> tuple[Written | None, int]:
            path = f"{self.path}/{name}.parquet"
            with sentence(f"{self.address}: {name}.parquet cannot be read", "try again"):
                metadata = patiently(self.fs, path, lambda: pq.read_metadata(self.fs.open_input_file(path)))
            return Written.of(metadata.metadata), metadata.num_rows

        with ThreadPoolExecutor(_NUM_THREADS) as pool:
            return list(pool.map(read, self.parts()))

    def parts(self) -> list[str]:
        """Names of the parts that are there, sorted."""
        names = (info.base_name for info in self.entries())
        return sorted(n.removesuffix(".parquet") for n in names if n.endswith(".parquet") and not n.startswith("."))

    def read(self, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
        """All parts as one table, in the order of their names.

        Raises:
            UserError: the stage is not complete, its table has other columns, or a part was made by another run.
        """
        self.require()
        return self.read_parts(schema, columns)

    def read_parts(
        self,
        schema: pa.Schema,
        columns: list[str] | None = None,
        keep: Callable[[pa.Table], pa.Table] = lambda part: part,
    ) -> pa.Table:
        """The parts that are there so far, as one table, of each what `keep` leaves of it.

        Raises:
            UserError: a part has other columns, or was made by another configuration than the one that claimed the
                stage.
        """
        wanted = schema if columns is None else pa.schema([schema.field(c) for c in columns])
        claimed = self._claimed()

        def read(name: str) -> pa.Table:
            data = self.read_bytes(f"{name}.parquet")
            where = f"{self.address}/{name}.parquet"
            if data is None:
                raise UserError(f"{where}: has just been deleted; run `psol {self._command}` again")
            try:
                table, made_by = read_part(where, data, wanted)
            except UserError as error:
                raise UserError(f"{error}; delete this file, and run `psol {self._command}` again") from None
            if is_of_another(made_by, claimed):
                raise UserError(
                    f"{where}: made by another configuration than the rest of the stage; delete this file, and run"
                    f" `psol {self._command}` again"
                )
            return keep(table)

        with ThreadPoolExecutor(_NUM_THREADS) as pool:
            tables = list(pool.map(read, self.parts()))
        return pa.concat_tables(tables) if tables else wanted.empty_table()

    @property
    def _command(self) -> str:
        claimed = self._claimed()
        usual = STAGES[self.name].command if self.name in STAGES else self.name
        return usual if claimed is None else claimed.details.get("command", usual)

    def require(self) -> Provenance:
        """What made this complete stage.

        Raises:
            UserError: it is not complete.
        """
        made_by = self.made_by()
        if made_by is None:
            damage = f", {abbreviate(self.damaged())} missing or of another size" if self.damaged() else ""
            raise UserError(f"{self.address}: found no complete {self.name}{damage}; run `psol {self._command}` first")
        return made_by

    def made_by(self) -> Provenance | None:
        """What made the complete stage; None while it is not complete or emptied, or some of its results are gone."""
        entries = self.entries()
        is_emptied = any(info.base_name == _EMPTYING for info in entries)
        return None if is_emptied or self._damaged(entries) else self._provenance(_SUCCESS)

    def damaged(self) -> list[str]:
        """Files that the stage had when it was completed and has no more, or not whole, sorted."""
        return self._damaged(self.entries())

    def _damaged(self, entries: Iterable[pafs.FileInfo]) -> list[str]:
        sizes = {info.base_name: info.size for info in entries}
        listed = self._success().get("files", {}) if _SUCCESS in sizes else {}
        return sorted(name for name, size in listed.items() if sizes.get(name) != size)

    def is_complete(self, wanted: Provenance) -> bool:
        """Whether the stage is complete, and made as wanted."""
        made_by = self.made_by()
        return made_by is not None and made_by.fingerprint == wanted.fingerprint

    def is_there(self) -> bool:
        """Whether anybody has begun to make the stage."""
        return any(info.base_name not in (LEASE_FILE, PROGRESS_FILE) for info in self.entries())

    def _provenance(self, name: str) -> Provenance | None:
        text = self.read_text(name)
        return None if text is None else Provenance.from_json(text)

    def _claimed(self) -> Provenance | None:
        return self._provenance(_STARTED) or self._provenance(_SUCCESS)

    def begin(self, wanted: Provenance, *, overwrite: bool) -> bool:
        """Claim the folder for this provenance; True where it is complete already and nothing is left to do.

        Args:
            wanted: what is going to make it.
            overwrite: empties it first, whatever is there.

        Raises:
            UserError: another configuration has claimed it, or it holds results that nobody has claimed, and
                `overwrite` is not given; or it cannot be written.
        """
        claimed = self._claimed()
        names = {info.base_name for info in self.entries()}
        if not overwrite and _EMPTYING not in names:
            if claimed is not None and claimed.fingerprint == wanted.fingerprint:
                return self._go_on()
            # A claim with nothing behind it is a run that failed before it made anything.
            if any(name not in _SAY_NOTHING and not name.startswith(".") for name in names):
                raise UserError(f"{self.address}: {_explain(claimed, wanted)}")
        self._empty(wanted)
        return False

    def _go_on(self) -> bool:
        """Take the stage as it is, without what is damaged; returns whether it is complete."""
        if self.made_by() is not None:
            return True
        damaged = set(self.damaged())
        # `_SUCCESS` last: cut short here, the rest is found damaged again.
        for info in sorted(self.entries(), key=lambda info: info.base_name == _SUCCESS):
            if info.base_name in damaged or info.base_name == _SUCCESS:
                self.delete(info)
        return False

    def _empty(self, wanted: Provenance) -> None:
        """Delete everything, and claim the folder."""
        self.write_bytes(_EMPTYING, b"")
        kept = (_EMPTYING, LEASE_FILE)
        # `_SUCCESS` first: cut short, it leaves an incomplete stage, not a lie.
        for info in sorted(self.entries(), key=lambda info: info.base_name != _SUCCESS):
            if info.base_name not in kept:
                self.delete(info)
        self.write_bytes(_STARTED, wanted.to_json())
        self.discard(_EMPTYING)

    def complete(self, made_by: Provenance, summary: Mapping[str, Any] | None = None) -> None:
        """Declare the stage complete, and delete what killed writers left unfinished."""
        files = {info.base_name: info.size for info in self.entries() if _is_result(info)}
        self.write_bytes(_SUCCESS, made_by.to_json(summary=dict(summary or {}), files=files))
        for info in self.entries():
            if info.base_name.startswith(".") and info.base_name.endswith(UNFINISHED):
                self.delete(info)

    def _success(self) -> dict[str, Any]:
        try:
            return json.loads(self.read_text(_SUCCESS) or "{}")
        except ValueError:  # a machine that crashed may leave zeros
            return {}

    def summary(self) -> dict[str, Any]:
        """What `complete` was given."""
        return self._success().get("summary", {})

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which of these parts are not there yet, or are of another configuration, in the order given."""
        claimed, written = self._claimed(), self.parts()
        with ThreadPoolExecutor(_NUM_THREADS) as pool:
            oks = pool.map(lambda name: is_made_by(self.read_bytes(f"{name}.parquet"), claimed), written)
            ours = {name for name, ok in zip(written, oks, strict=True) if ok}
        return [name for name in names if name not in ours]


def _is_result(info: pafs.FileInfo) -> bool:
    return info.base_name.endswith(_RESULTS) and not info.base_name.startswith(".")


def _explain(claimed: Provenance | None, wanted: Provenance) -> str:
    if claimed is None:
        return "holds files that no run has claimed; use another run_dir, or --overwrite to delete them"
    return wanted.explain_difference(claimed)
