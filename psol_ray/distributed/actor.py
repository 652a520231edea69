"""The actor around every worker: it unpacks images, finds their files, reports progress and writes parts."""

from collections.abc import Sequence
from typing import Any

from psol_ray.distributed.packed import unpack
from psol_ray.distributed.progress import RemoteTracker
from psol_ray.errors import ImagesAway
from psol_ray.storage.addresses import image_addresses
from psol_ray.work.jobs import Resources, Task, WorkerFactory
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
    ) -> None:
        self._worker = make_worker(resources)
        self._data_root, self._writer, self._tracker = data_root, writer, tracker

    def run(
        self,
        method: str,
        name: str,
        packed: bytes,
        *arguments: Any,
        left_out: Sequence[str] = (),
        careful: bool = False,
    ) -> Any:
        """Do one job; returns what is for the driver, None where parts were written, and `ImagesAway` where its images
        are: raised, it would be printed by Ray with its traceback, should the driver not come to ask for it.

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
        try:
            return perform(self._worker, method, task, arguments, self._writer, not_opened)
        except ImagesAway as away:
            return away
