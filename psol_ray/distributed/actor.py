"""The actor around every worker: it unpacks images, finds their files, reports progress and writes parts.

Its log, a file on its machine, has a line as each job begins and ends; the driver shows none of them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psol_ray.distributed.answer import Answer
from psol_ray.distributed.packed import unpack
from psol_ray.distributed.progress import RemoteTracker
from psol_ray.errors import ImagesAway
from psol_ray.log import Subject, say, speak_of
from psol_ray.storage.addresses import image_addresses
from psol_ray.work.counters import WAITS, statuses
from psol_ray.work.jobs import Parts, Resources, Task, WorkerFactory
from psol_ray.work.pace import duration
from psol_ray.work.perform import PartWriter, perform, throttled

__all__ = ["PartActor"]


class PartActor:
    """A worker in a process of its own, for as many jobs as it is given."""

    def __init__(
        self,
        make_worker: WorkerFactory,
        resources: Resources,
        data_root: str,
        writer: PartWriter,
        tracker: RemoteTracker,
        subject: Subject | None = None,
    ) -> None:
        """`subject` is what its log and Ray call it."""
        self._subject = subject or Subject(who="worker")
        speak_of(self._subject)
        say(f"starts with {resources.num_cpus} CPUs{'' if resources.gpu is None else ' and a GPU'}")
        self._worker = make_worker(resources)
        self._data_root, self._writer, self._tracker = data_root, writer, tracker

    def __repr__(self) -> str:
        return str(self._subject)  # before its lines, where Ray shows them, and on Ray's dashboard

    def run(
        self,
        method: str,
        name: str,
        packed: bytes,
        *arguments: Any,
        left_out: Sequence[str] = (),
        careful: bool = False,
    ) -> Answer:
        """Do one job.

        Where its images are away, `ImagesAway` is the answer: raised, it would be printed by Ray with its traceback,
        should the driver not come to ask for it.

        Args:
            method, arguments: what to call of the worker.
            name: the job's.
            packed: its catalog rows.
            left_out: images that are not to be opened.
            careful: report every batch, because it may be the last.
        """
        images, not_opened = unpack(packed), frozenset(left_out)

        def report(done: int) -> None:
            self._tracker.update(name, done)

        paths = image_addresses(self._data_root, images, not_opened)
        task = Task(name, images, paths, report if careful else throttled(report, len(images)))
        writer, started = _Counting(self._writer.stages, left_out), time.monotonic()
        say(f"{name}: {method} begins, {len(images):,} images")
        try:
            value = perform(self._worker, method, task, arguments, writer, not_opened)
        except ImagesAway as away:
            value = away
        except BaseException as error:
            say(f"{name}: {method} failed after {duration(time.monotonic() - started)}: {error!r}")
            raise
        waited = WAITS.take()
        say(
            f"{name}: {method} ended, {len(images):,} images in {time.monotonic() - started:.1f} s"
            f" ({waited.decode:.1f} s waited for decoders, {waited.network:.1f} s for the network)"
            f"{f'; {value}' if isinstance(value, ImagesAway) else ''}"
        )
        return Answer(value, writer.images, waited)


@dataclass(frozen=True)
class _Counting(PartWriter):
    """Writes, and counts the images of what it has written by their status."""

    left_out: Sequence[str]
    images: dict[str, int] = field(default_factory=dict)

    def write(self, name: str, parts: Parts) -> None:
        """See `PartWriter.write`."""
        super().write(name, parts)
        self.images.update(statuses(parts, self.left_out))
