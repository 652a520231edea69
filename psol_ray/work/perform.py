"""One job by one worker: find the files, call the method, write the parts."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from psol_ray.tables import Provenance, StageDir
from psol_ray.work.jobs import Parts, Task

__all__ = ["PartWriter", "image_paths", "perform", "throttled"]

_REPORT_SECONDS = 0.5


@dataclass(frozen=True)
class PartWriter:
    """Where parts go: a stage and its provenance for each table, in the order in which a job's parts are to appear."""

    stages: Mapping[str, tuple[StageDir, Provenance]]

    def write(self, name: str, parts: Parts) -> None:
        """Write a part of every table."""
        for table, (stage, made_by) in self.stages.items():
            stage.write_part(name, parts[table], made_by)


def image_paths(root: str, images: pa.Table) -> list[str]:
    """The files of catalog rows below the data root, in the same order.

    Empty for a row without a size: what the catalog could not read is opened by nobody.
    """
    rows = zip(images.column("image_id").to_pylist(), images.column("width").to_pylist(), strict=True)
    return [os.path.join(root, image_id) if width > 0 else "" for image_id, width in rows]


def perform(
    worker: Any,
    method: str,
    task: Task,
    arguments: Sequence[Any],
    writer: PartWriter,
) -> Any:
    """Call a worker's method; writes the `Parts` that it returns, and passes on anything else."""
    result = getattr(worker, method)(task, *arguments)
    if not isinstance(result, Parts):
        return result
    writer.write(task.name, result)
    return None


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
