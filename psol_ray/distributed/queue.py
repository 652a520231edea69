"""The jobs that wait, and who should do what next. Knows no actors, only their names and those of their nodes."""

from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass, field
from typing import Any

from psol_ray.errors import ImagesAway
from psol_ray.work.jobs import Job

__all__ = ["MAX_DEATHS", "Death", "JobQueue"]

MAX_DEATHS = 3


@dataclass(frozen=True)
class Death:
    """How a worker ended: when, in seconds since 1970, on which machine, and of what, as far as Ray knows.

    `images_done` is how many images of the job it had reported; None where nobody knows.
    """

    time: float
    host: str
    cause: str
    images_done: int | None = None


@dataclass
class JobQueue:
    """Jobs that wait, the most costly first; and what became of the others.

    A job whose actor died is done again after the others and alone, so that of two jobs in one process the one that
    kills it is told from its neighbour. One that has seen `MAX_DEATHS` is set aside.

    A job that found its images away is done next by somebody on another node, as long as there is one.
    """

    waiting: list[Job]
    done: set[Job] = field(default_factory=set)
    _by_cost: set[Job] = field(default_factory=set)  # that nobody has been given yet, and that follow from none
    _done_by: dict[Job, Any] = field(default_factory=dict)
    _deaths: dict[Job, list[Death]] = field(default_factory=dict)
    _away_on: dict[Job, dict[str, ImagesAway]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting.sort(key=lambda job: (-job.cost, job.name))
        self._by_cost = set(self.waiting)

    def take(
        self,
        worker: Any,
        workers: Iterable[Any],
        *,
        is_idle: bool,
        place: int = 0,
        node: str = "",
        nodes: Collection[str] = (),
    ) -> Job | None:
        """The next job for one of the workers, or None where there is none that it should do.

        One that is not the next to be free leaves the larger jobs to those who are, as if jobs were taken when they can
        be begun: so the last ones are not queued behind another while somebody is about to have nothing to do.

        Args:
            worker: who asks.
            workers: all that live.
            is_idle: whether it has no other job.
            place: how many will be free before it.
            node: where it is.
            nodes: where all are.
        """
        for index, job in enumerate(self.waiting):
            if self.is_suspect(job) and not is_idle:
                continue
            if self.belongs_elsewhere(job, node, nodes):
                continue
            keeper = self._done_by.get(job.follows) if job.follows else None
            if keeper is not None and keeper is not worker and keeper in workers and not self._away_on.get(job):
                continue
            if place and job in self._by_cost:
                place -= 1
                continue
            self._by_cost.discard(job)
            return self.waiting.pop(index)
        return None

    def is_suspect(self, job: Job) -> bool:
        """Whether an actor has died with it, so that it must be alone."""
        return job in self._deaths

    def belongs_elsewhere(self, job: Job, node: str, nodes: Collection[str]) -> bool:
        """Whether the job's images were away on this node, and have not been looked for on another of these."""
        tried = self.away_on(job)
        return node in tried and not tried >= set(nodes)

    def finish(self, job: Job, worker: Any, answer: Any) -> None:
        """Take in a job's answer; what follows from it comes before all others."""
        self.done.add(job)
        if job.then is not None:
            self._done_by[job] = worker
            self.waiting[:0] = job.then(answer)

    def requeue(self, job: Job, death: Death) -> None:
        """The job's actor has died, and nobody else is doing it."""
        deaths = self._deaths.setdefault(job, [])
        deaths.append(death)
        if len(deaths) < MAX_DEATHS:
            self.waiting.append(job)

    def deaths(self, job: Job) -> list[Death]:
        """Those under this job, the first one first."""
        return self._deaths.get(job, [])

    def revive(self, job: Job) -> None:
        """Do a job that was set aside once more, because something of it has changed."""
        self._deaths[job] = []
        self.waiting.append(job)

    def note_away(self, job: Job, node: str, away: ImagesAway) -> None:
        """These of the job's images are away on that node."""
        self._away_on.setdefault(job, {})[node] = away

    def away_on(self, job: Job) -> Set[str]:
        """The nodes on which some of the job's images were away."""
        return self._away_on.get(job, {}).keys()

    def away_everywhere(self, job: Job, nodes: Collection[str]) -> ImagesAway:
        """Those of the job's images that were away on all of these nodes that have tried.

        Where there is none of that kind, because each sees what another does not, those that the node with the fewest
        lacks: a job is done as a whole.
        """
        found = [away for node, away in self._away_on[job].items() if node in nodes]
        fewest = min(found, key=lambda away: len(away.paths))
        nowhere = set(fewest.paths).intersection(*(away.paths for away in found))
        return ImagesAway([path for path in fewest.paths if path in nowhere], fewest.reason) if nowhere else fewest

    def give_back(self, job: Job) -> None:
        """Nobody is doing the job any more, by no fault of its own: it is next."""
        self.waiting.insert(0, job)

    def look_again(self, job: Job) -> None:
        """The images that were away are no longer wanted: any node will do."""
        self._away_on.pop(job, None)

    def set_aside(self) -> list[str]:
        """Parts that were, sorted."""
        return sorted({job.part or job.name for job, deaths in self._deaths.items() if len(deaths) >= MAX_DEATHS})
