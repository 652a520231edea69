"""Runs workers in this process, one job after the other: for debuggers, and for a few images without Ray's start."""

import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psol_ray.catalog.headers import read_sizes
from psol_ray.errors import ImagesAway
from psol_ray.images.limits import MAX_PIXELS
from psol_ray.storage.addresses import image_addresses
from psol_ray.tables import StageDir
from psol_ray.work.executor import PartRun
from psol_ray.work.jobs import Job, Resources, Task
from psol_ray.work.perform import perform, throttled
from psol_ray.work.progress import ProgressTracker, draw_progress

__all__ = ["InProcess", "whole_machine"]

_CHECKPOINT = "checkpoint_in_process.pt"
_FILES_AT_ONCE = 256


class InProcess:
    """An `Executor` without a cluster."""

    num_workers = 1

    def __init__(self, resources: Resources | None = None) -> None:
        """`resources` are what a worker is given; None is all of this machine."""
        self._resources = resources
        self.worker_seconds = 0.0

    @property
    def device(self) -> str:
        """See `Executor.device`."""
        import torch

        resources = self._resources or whole_machine()
        return f"{resources.num_cpus} CPUs" if resources.gpu is None else torch.cuda.get_device_name(resources.gpu)

    @staticmethod
    def num_cpus() -> int:
        """CPUs that this process may use."""
        return _num_cpus()

    def prepare(self) -> None:
        """See `Executor.prepare`."""

    def run_parts(self, run: PartRun) -> Sequence[str]:
        """See `Executor.run_parts`."""
        worker: Any = run.make_worker(self._resources or whole_machine())
        started = time.monotonic()
        with self._tracked(run.title, run.total, run.total - run.num_images) as tracker:
            try:
                self._run_jobs(run, worker, tracker)
            except Exception:
                _close(worker)
                raise
            # Not after Ctrl-C: its threads would first finish a class. They end with this process.
            _close(worker)
        self.worker_seconds += time.monotonic() - started
        return ()

    def _run_jobs(self, run: PartRun, worker: Any, tracker: ProgressTracker) -> None:
        waiting = deque(run.jobs)
        while waiting:
            job = waiting.popleft()
            left_out = run.left_out.of(job.images)
            paths = image_addresses(run.data_root, job.images, left_out)
            task = Task(job.name, job.images, paths, _progress(tracker, job))
            try:
                result = perform(worker, job.method, task, job.arguments, run.writer, left_out)
            except ImagesAway as away:
                # Nobody else has a job here, so that they are its own.
                run.left_out.add_away(away)
                waiting.appendleft(job)
                continue
            if job.then is not None:
                waiting.extendleft(reversed(job.then(result)))
            tracker.set_note(run.describe(job))

    def read_sizes(self, root: str, image_ids: Sequence[str], max_pixels: int = MAX_PIXELS) -> NDArray[np.int32]:
        """See `Executor.read_sizes`."""
        starts = range(0, len(image_ids), _FILES_AT_ONCE)
        sizes = [np.zeros((0, 2), np.int32)]
        with self.progress("Reading headers", len(image_ids)) as progress:
            for start in starts:
                sizes.append(read_sizes(root, image_ids[start : start + _FILES_AT_ONCE], max_pixels))
                progress(min(start + _FILES_AT_ONCE, len(image_ids)))
        return np.concatenate(sizes)

    def train(self, setup: Any, title: str) -> None:
        """See `Executor.train`."""
        # Late: only a training needs torch.
        import torch

        from psol_ray.training.loop import train
        from psol_ray.training.setup import Rank

        device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        rank = Rank(0, 1, device, _num_cpus())
        with self._tracked(title, setup.num_images) as tracker:
            train(setup, rank, _StageCheckpoints(setup.stage), tracker)

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """See `Executor.progress`."""
        with self._tracked(title, total) as tracker:
            yield lambda done: tracker.update(title, done)

    @contextmanager
    def _tracked(self, title: str, total: int, done: int = 0) -> Iterator[ProgressTracker]:
        tracker = ProgressTracker(done)
        with draw_progress(title, total, tracker.snapshot):
            yield tracker


def _close(worker: Any) -> None:
    if hasattr(worker, "close"):
        worker.close()


def _progress(tracker: ProgressTracker, job: Job) -> Callable[[int], None]:
    return throttled(lambda done: tracker.update(job.name, done), job.cost)


def _num_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def whole_machine() -> Resources:
    """All of this machine, its first GPU included."""
    import torch

    gpu = 0 if torch.cuda.is_available() else None
    memory = float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return Resources(_num_cpus(), gpu, memory)


@dataclass(frozen=True)
class _StageCheckpoints:
    """The last checkpoint as a file in the stage's folder. A training that Ray Train has begun is not taken over."""

    stage: StageDir

    def last(self) -> AbstractContextManager[Path] | None:
        """See `CheckpointStore.last`."""
        data = self.stage.read_bytes(_CHECKPOINT)
        return None if data is None else _folder_with(data)

    def save(self, folder: Path | None, _metrics: dict[str, Any]) -> None:
        """See `CheckpointStore.save`."""
        from psol_ray.training.checkpoint import CHECKPOINT_FILE

        assert folder is not None, "there is one rank"
        self.stage.write_bytes(_CHECKPOINT, (folder / CHECKPOINT_FILE).read_bytes())

    def __str__(self) -> str:
        return f"{self.stage.address}/{_CHECKPOINT}"


@contextmanager
def _folder_with(data: bytes) -> Iterator[Path]:
    from psol_ray.training.checkpoint import CHECKPOINT_FILE

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / CHECKPOINT_FILE).write_bytes(data)
        yield Path(folder)
