"""What an executor is: who runs workers, trainings and the reading of headers, and shows how far they are."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psol_ray.work.jobs import Job, WorkerFactory
from psol_ray.work.left_out import LeftOut
from psol_ray.work.perform import PartWriter

__all__ = ["Executor", "PartRun"]


@dataclass(frozen=True)
class PartRun:
    """Parts to be made.

    `total` counts all images of the stage, those of finished parts included. `describe` is given each finished job and
    says what to show beside the bar. A worker is given up to `concurrency` jobs at once, each in a thread. `left_out`
    says whether the stage goes on without images that are away, and takes down which.
    """

    title: str
    jobs: Sequence[Job]
    make_worker: WorkerFactory
    writer: PartWriter
    data_root: str
    total: int
    describe: Callable[[Job], str] = lambda _: ""
    concurrency: int = 1
    left_out: LeftOut = field(default_factory=LeftOut)

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

    @property
    def device(self) -> str:
        """What each of them works on: the name of a GPU, or `4 CPUs`."""
        ...

    def prepare(self) -> None:
        """Get ready as far as that does not depend on what is to be done, which other methods do if nobody has."""
        ...

    @property
    def worker_seconds(self) -> float:
        """Seconds that workers have been there for parts so far, added up, without their starts."""
        ...

    def run_parts(self, run: PartRun) -> Sequence[str]:
        """Do all jobs, and those that follow from them.

        Returns:
            the other machines that have worked on them, by their names.

        Raises:
            UserError: a job raised one; more images are away than may be; or, on a cluster, jobs were set aside and
                the others are done.
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
