"""Jobs, and the plain objects that do them. An executor runs workers: `in_process` here, `distributed` on a cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pyarrow as pa

from psol_ray.storage.addresses import Address

__all__ = ["Bounded", "Job", "Parts", "Resources", "Task", "Worker", "WorkerFactory"]


@dataclass(frozen=True)
class Resources:
    """What one worker has: CPUs, a GPU's index inside its process or None, and bytes of main memory.

    `max_pixels` is the most that an image may have which it decodes; None is the decoders' own limit.
    """

    num_cpus: int
    gpu: int | None = None
    memory: float = 0.0
    max_pixels: int | None = None


@dataclass(frozen=True)
class Task:
    """One call of a worker's method.

    `name` is the job's; `images` are catalog rows without ground truth and `paths` their files, in the same order;
    `progress` takes the number of images done, as often as the worker likes.
    """

    name: str
    images: pa.Table
    paths: Sequence[Address]
    progress: Callable[[int], None]


class Parts(dict[str, pa.Table]):
    """Rows by the name of their table. What a worker's method returns as `Parts` is written; anything else goes back to
    the driver."""


class Worker(Protocol):
    """Works on images, in whatever process. Other methods than this one take a task, and a job's arguments.

    One with threads has a method `close`, which the in-process executor calls at the end; an actor's worker ends with
    its process.
    """

    def process(self, task: Task, /) -> Any:
        """Rows of the tables that the images belong to."""
        ...


WorkerFactory = Callable[[Resources], Worker]
"""Makes a worker in the process where it is to work. It travels there by pickle, once: it may hold weights."""


@dataclass(frozen=True)
class Bounded:
    """A `WorkerFactory` whose workers decode no image of more than `max_pixels`."""

    make_worker: WorkerFactory
    max_pixels: int

    def __call__(self, resources: Resources) -> Worker:
        """See `WorkerFactory`."""
        return self.make_worker(replace(resources, max_pixels=self.max_pixels))


@dataclass(frozen=True, eq=False)
class Job:
    """A call of a worker's method on some images; `name` names the part it writes, and tells it from other jobs."""

    name: str
    images: pa.Table
    method: str = "process"
    arguments: tuple[Any, ...] = ()
    part: str = ""
    """The part it contributes to, if that is not its own."""
    then: Callable[[Any], Sequence["Job"]] | None = None
    """Given what the method returned, says which jobs follow."""
    follows: "Job | None" = None
    """A job whose worker keeps something that this one would otherwise have to make again."""

    @property
    def cost(self) -> int:
        """Images."""
        return len(self.images)

    @property
    def is_independent(self) -> bool:
        """Whether two workers may do it at once, because nothing comes of it but a part."""
        return self.then is None and self.follows is None
