"""One job by one worker: find the files, call the method, write the parts."""

import os
import stat
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from psol_ray.errors import ImagesAway
from psol_ray.storage.addresses import Address, Cell, Span
from psol_ray.storage.reader import probe
from psol_ray.tables import Provenance, StageDir
from psol_ray.tables.schemas import MISSING, UNREADABLE
from psol_ray.tables.written import Written
from psol_ray.work.jobs import Parts, Task

__all__ = ["PartWriter", "perform", "throttled", "why_away"]

_REPORT_SECONDS = 0.5
_ATTEMPTS = 3
# Until files that were away are looked for once more: a server that starts anew, a mount that is late.
_PAUSE_SECONDS = 1.0
_PROBES_AT_ONCE = 16


@dataclass(frozen=True)
class PartWriter:
    """Where parts go: a stage and its provenance for each table, in the order in which a job's parts are to appear."""

    stages: Mapping[str, tuple[StageDir, Provenance]]

    def write(self, name: str, parts: Parts) -> None:
        """Write a part of every table."""
        written = Written.now()
        for table, (stage, made_by) in self.stages.items():
            stage.write_part(name, parts[table], made_by, written)


def perform(
    worker: Any,
    method: str,
    task: Task,
    arguments: Sequence[Any],
    writer: PartWriter,
    left_out: Collection[str] = (),
) -> Any:
    """Call a worker's method; writes the `Parts` that it returns, and passes on anything else.

    Rows of images that are left out are `missing`, and not `unreadable`: nobody has looked at them.

    Raises:
        ImagesAway: of the task's images; it names all that cannot be opened here, by their ids and not by their paths.
            None, where files of others were away each time: some workers' batches hold images of two jobs.
    """
    result = _call(worker, method, task, arguments)
    if not isinstance(result, Parts):
        return result
    writer.write(task.name, Parts({name: _mark_missing(table, left_out) for name, table in result.items()}))
    return None


def _call(worker: Any, method: str, task: Task, arguments: Sequence[Any]) -> Any:
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            return getattr(worker, method)(task, *arguments)
        except ImagesAway as error:
            time.sleep(_PAUSE_SECONDS)
            away = _find_away(task, error, believed=not attempts_left)
            if away.paths or not attempts_left:
                raise away from None
    raise AssertionError("the last attempt returns or raises")


def _find_away(task: Task, error: ImagesAway, *, believed: bool) -> ImagesAway:
    """Which of all the job's images are away, so that it does not fail again for each of its batches.

    Args:
        task: what was to be done.
        error: what the decoder said, of images of this job, of another, or of both.
        believed: whether also those count that can be opened now, and the decoder says cannot be read.
    """
    with ThreadPoolExecutor(_PROBES_AT_ONCE) as threads:
        reasons = list(threads.map(why_away, task.paths))
    named = set(error.paths) if believed else set()
    image_ids = task.images.column("image_id").to_pylist()
    found = [
        (image_id, why or error.reason)
        for image_id, path, why in zip(image_ids, task.paths, reasons, strict=True)
        if why or (path and path in named)
    ]
    return ImagesAway([image_id for image_id, _ in found], found[0][1] if found else error.reason)


def why_away(address: Address) -> str:
    """Why a file cannot be opened and read, as the operating system words it; empty where it can, or is not to be."""
    if not address:
        return ""
    return _why_path_away(address) if isinstance(address, str) else _why_remote_away(address)


def _why_remote_away(address: Span | Cell) -> str:
    try:
        probe(address)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _why_path_away(path: str) -> str:
    try:
        # A pipe would be waited for.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return "no regular file"
            os.read(file, 1)
        finally:
            os.close(file)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _mark_missing(table: pa.Table, left_out: Collection[str]) -> pa.Table:
    """A table's rows, `missing` where they say that an image is unreadable which nobody has opened."""
    if "status" not in table.column_names or not left_out:
        return table
    image_ids, status_N = (table.column(name).to_numpy(zero_copy_only=False) for name in ("image_id", "status"))
    missing_N = np.isin(image_ids.astype(str), list(left_out)) & (status_N == UNREADABLE)
    place = table.schema.get_field_index("status")
    status = pa.array(np.where(missing_N, MISSING, status_N), pa.string())
    return table.set_column(place, table.schema.field(place), status)


def throttled(report: Callable[[int], None], total: int) -> Callable[[int], None]:
    """`report` at most twice a second, and at the end: a thousand GPUs make a hundred thousand batches a second."""
    reported_at = 0.0

    def progress(done: int) -> None:
        nonlocal reported_at
        if done < total and time.monotonic() - reported_at < _REPORT_SECONDS:
            return
        reported_at = time.monotonic()
        report(done)

    return progress
