"""An actor of a pool, and what the driver knows of it."""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.actor import ActorHandle

from psol_ray.distributed.packed import pack
from psol_ray.distributed.shares import Share
from psol_ray.distributed.waiting import Pulse
from psol_ray.work.jobs import Job

__all__ = ["PoolWorker", "where"]


@dataclass(eq=False)
class PoolWorker:
    """An actor, its place, the answer of its constructor while that is not there yet, and its jobs by their answers.

    `node`, the id of its node, and `host`, the name of its machine, are known once it has started.
    """

    actor: ActorHandle
    share: Share
    starting: Any | None
    jobs: dict[Any, Job] = field(default_factory=dict)
    pulse: Pulse = field(default_factory=Pulse)
    node: str = ""
    host: str = ""
    began: float | None = None
    answered_at: float = 0.0
    images_done: int = 0

    def give(self, job: Job, left_out: Sequence[str], *, is_suspect: bool) -> None:
        """Have it do a job, without some of its images; of one that has killed actors it is to report every batch."""
        # Only what there is, so that an actor that knows nothing of it will do.
        more = {**({"left_out": left_out} if left_out else {}), **({"careful": True} if is_suspect else {})}
        self.jobs[self.actor.run.remote(job.method, job.name, pack(job.images), *job.arguments, **more)] = job
        self.pulse.beat()

    def note_answer(self) -> None:
        """It has just answered."""
        self.answered_at = time.monotonic()
        self.began = self.began or self.answered_at
        self.pulse.beat()

    @property
    def seconds_an_image(self) -> float | None:
        """Between its answers; None as long as it has done nothing."""
        if self.began is None or not self.images_done:
            return None
        return (self.answered_at - self.began) / self.images_done

    @property
    def images_left(self) -> int:
        """Of the jobs that it holds."""
        return sum(job.cost for job in self.jobs.values())

    @property
    def seconds(self) -> float:
        """For how long it has been there, since it had started."""
        return 0.0 if self.began is None else time.monotonic() - self.began

    @property
    def first_job(self) -> Job:
        """What it is doing."""
        return next(iter(self.jobs.values()))

    def answers(self) -> list[Any]:
        """What it is to answer to."""
        return list(self.jobs) if self.starting is None else [self.starting]


def where(_: Any) -> tuple[str, str]:
    """Of an actor: the id of its node, and the name of its machine."""
    return ray.get_runtime_context().get_node_id(), socket.gethostname()
