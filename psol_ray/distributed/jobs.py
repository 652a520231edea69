"""What there is to do, and who should do what next. Knows no actors, only their names."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["MAX_DEATHS", "Backlog", "Job"]

MAX_DEATHS = 3


@dataclass(frozen=True, eq=False)
class Job:
    """A call of an actor's method."""

    name: str
    arguments: tuple[Any, ...]
    cost: int
    """Images."""
    method: str = "process"
    part: str = ""
    """What it contributes to, if that is not itself."""
    then: Callable[[Any], Sequence["Job"]] | None = None
    """Given the answer, says what has to be done next."""
    follows: "Job | None" = None
    """A job whose actor keeps something that this one would otherwise have to make again."""

    @property
    def is_on_its_own(self) -> bool:
        """Whether two actors may do it at once, because nothing comes of it but a part."""
        return self.then is None and self.follows is None


@dataclass
class Backlog:
    """Jobs that wait, the most costly first; and what became of the others.

    A job under whose hands an actor died is done again after the others and alone, so that of two jobs in one process
    the one that kills it is told from its neighbour. One that has seen `MAX_DEATHS` is set aside.
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
            if self.must_be_alone(job) and not is_idle:
                continue
            keeper = self._done_by.get(job.follows) if job.follows else None
            if keeper is not None and keeper is not worker and keeper in workers:
                continue
            return self.waiting.pop(index)
        return None

    def must_be_alone(self, job: Job) -> bool:
        """Whether an actor has died with it."""
        return job in self._deaths

    def finish(self, job: Job, worker: Any, answer: Any) -> None:
        """Take in a job's answer; what follows from it comes before all others."""
        self.done.add(job)
        if job.then is not None:
            self._done_by[job] = worker
            self.waiting[:0] = job.then(answer)

    def bury(self, job: Job) -> None:
        """The job's actor has died, and nobody else is doing it."""
        self._deaths[job] = self._deaths.get(job, 0) + 1
        if self._deaths[job] < MAX_DEATHS:
            self.waiting.append(job)

    def set_aside(self) -> list[str]:
        """Parts that were given up, sorted."""
        return sorted({job.part or job.name for job, deaths in self._deaths.items() if deaths >= MAX_DEATHS})
