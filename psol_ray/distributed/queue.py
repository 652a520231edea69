"""The jobs that wait, and who should do what next. Knows no actors, only their names."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from psol_ray.work.jobs import Job

__all__ = ["MAX_DEATHS", "JobQueue"]

MAX_DEATHS = 3


@dataclass
class JobQueue:
    """Jobs that wait, the most costly first; and what became of the others.

    A job whose actor died is done again after the others and alone, so that of two jobs in one process the one that
    kills it is told from its neighbour. One that has seen `MAX_DEATHS` is quarantined.
    """

    waiting: list[Job]
    done: set[Job] = field(default_factory=set)
    _done_by: dict[Job, Any] = field(default_factory=dict)
    _deaths: dict[Job, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting.sort(key=lambda job: (-job.cost, job.name))

    def take(self, worker: Any, workers: Iterable[Any], *, is_idle: bool) -> Job | None:
        """The next job for one of the workers, or None where there is none that it should do.

        Args:
            worker: who asks.
            workers: all that live.
            is_idle: whether it has no other job.
        """
        for index, job in enumerate(self.waiting):
            if self.is_suspect(job) and not is_idle:
                continue
            keeper = self._done_by.get(job.follows) if job.follows else None
            if keeper is not None and keeper is not worker and keeper in workers:
                continue
            return self.waiting.pop(index)
        return None

    def is_suspect(self, job: Job) -> bool:
        """Whether an actor has died with it, so that it must be alone."""
        return job in self._deaths

    def finish(self, job: Job, worker: Any, answer: Any) -> None:
        """Take in a job's answer; what follows from it comes before all others."""
        self.done.add(job)
        if job.then is not None:
            self._done_by[job] = worker
            self.waiting[:0] = job.then(answer)

    def requeue(self, job: Job) -> None:
        """The job's actor has died, and nobody else is doing it."""
        self._deaths[job] = self._deaths.get(job, 0) + 1
        if self._deaths[job] < MAX_DEATHS:
            self.waiting.append(job)

    def quarantined(self) -> list[str]:
        """Parts that were given up, sorted."""
        return sorted({job.part or job.name for job, deaths in self._deaths.items() if deaths >= MAX_DEATHS})
