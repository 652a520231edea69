"""What an executor is: who runs workers, trainings and the reading of headers, and shows how far they are."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psol_ray.work.jobs import Job, WorkerFactory
from psol_ray.work.perform import PartWriter

__all__ = ["Executor", "PartRun"]


@dataclass(frozen=True)
class PartRun:
    """Parts to be made.

    `total` counts all images of the stage, those of finished parts included. `describe` is given each finished job and
    says what to show beside the bar. A worker is given up to `concurrency` jobs at once, each in a thread.
    """

    title: str
    jobs: Sequence[Job]
    make_worker: WorkerFactory
    writer: PartWriter
    data_root: str
    total: int
    describe: Callable[[Job], str] = lambda _: ""
    concurrency: int = 1

    @property
    def num_images(self) -> int:
        """Images of the parts that are to be made."""
        return sum(job.cost for job in self.jobs)


class Executor(Protocol):
    """Runs what is asked of it in this process, or on a cluster. Tables are the same to the last digit."""

    @property
    def num_workers(self) -> int:
        """How many workers there are to share parts, as far as is known."""
        ...

    def run_parts(self, run: PartRun) -> None:
        """Do all jobs, and those that follow from them.

        Raises:
            UserError: a job raised one; or, on a cluster, jobs were given up and the others are done.
        """
        ...

    def read_sizes(self, root: str, image_ids: Sequence[str], max_pixels: int) -> NDArray[np.int32]:
        """`(width, height)` of every image, in order; `(0, 0)` for one that is unreadable or larger."""
        ...

    def train(self, setup: Any, title: str) -> None:
        """Train to the end, from the last checkpoint if there is one; `setup` is a `TrainingSetup`."""
        ...

    def progress(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Shows how far something is that happens in the driver; yields what takes the images done."""
        ...
