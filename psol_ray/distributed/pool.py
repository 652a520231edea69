"""A pool of actors that work through jobs, each of which writes its own part.

Ray tells three things apart, and so does the pool:

- RayTaskError: the job's own code raised. It would raise again, so it ends the run. A UserError is raised as itself.
- ActorDiedError with `actor_init_failed`: the actor's constructor raised. It would raise again, too.
- Any other RayError (ActorDiedError, ActorUnavailableError, NodeDiedError, WorkerCrashedError, OutOfMemoryError, ...,
  which have no narrower kin): the actor is gone. Actors are made without `max_restarts`: the pool starts another
  itself, so that it knows which job was running, and that a new actor got through its constructor.

An actor is given one job at a time. With a second one waiting in its queue, a job that kills the process takes with it
the answer of the job just finished, and the innocent is blamed. A job takes seconds to minutes, handing it out
milliseconds.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from psol_ray.errors import UserError

__all__ = ["Job", "run_pool"]

_MAX_DEATHS = 3
# An actor loads weights and builds a decoder; beyond this it hangs, or waits for resources that others hold.
_START_SECONDS = 600.0


@dataclass(frozen=True)
class Job:
    """One part to make. `arguments` go to the actor's `process`; `cost` is its number of images."""

    name: str
    arguments: tuple[Any, ...]
    cost: int


@dataclass(eq=False)
class _Worker:
    """An actor; `answer` is of its constructor (`job` is None), or of its job, or None while it idles."""

    actor: Any
    answer: Any | None
    job: Job | None = None

    @property
    def is_starting(self) -> bool:
        return self.answer is not None and self.job is None

    def give(self, job: Job) -> None:
        self.answer, self.job = self.actor.process.remote(*job.arguments), job

    def idle(self) -> None:
        self.answer = self.job = None


def run_pool(make_actor: Callable[[], Any], num_actors: int, jobs: Sequence[Job]) -> None:
    """Run all jobs, the most costly first.

    A job whose actor dies is done again, after the others. One under which actors die three times is set aside; the
    rest is completed.

    Args:
        make_actor: starts an actor that has `process(*arguments)`.
        num_actors: how many to start.
        jobs: what to do.

    Raises:
        UserError: jobs were set aside and the others are done; no actor starts; or a job raised one.
    """
    pool = _Pool(make_actor, jobs)
    try:
        pool.start(min(num_actors, len(jobs)))
        while pool.is_busy():
            pool.step()
    finally:
        pool.kill()
    pool.report_set_aside()


class _Pool:
    def __init__(self, make_actor: Callable[[], Any], jobs: Sequence[Job]) -> None:
        self._make_actor = make_actor
        self._waiting = deque(sorted(jobs, key=lambda job: (-job.cost, job.name)))
        self._workers: list[_Worker] = []
        self._deaths: dict[str, int] = {}
        self._stillbirths = 0  # in a row, over all workers

    def start(self, num_actors: int) -> None:
        for _ in range(num_actors):
            actor = self._make_actor()
            self._workers.append(_Worker(actor, actor.__ray_ready__.remote()))

    def is_busy(self) -> bool:
        return bool(self._waiting) or any(worker.job for worker in self._workers)

    def step(self) -> None:
        """Hand out jobs and take in one answer."""
        for worker in self._workers:
            if self._waiting and worker.answer is None:
                worker.give(self._waiting.popleft())
        awaited = {worker.answer: worker for worker in self._workers if worker.answer is not None}
        somebody_works = any(worker.job for worker in self._workers)
        answered, _ = ray.wait(list(awaited), num_returns=1, timeout=None if somebody_works else _START_SECONDS)
        if not answered:
            raise UserError(
                f"no worker has started within {_START_SECONDS:.0f} s; are others using the cluster?"
                " See `ray status`, and run the same command again"
            )
        worker = awaited[answered[0]]
        try:
            ray.get(answered[0])
        except RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise error.cause from None
            raise
        except RayError as error:
            self._bury(worker, error)
        else:
            self._stillbirths = 0
            worker.idle()

    def _bury(self, worker: _Worker, error: RayError) -> None:
        ray.kill(worker.actor)  # ActorUnavailableError leaves it alive, perhaps
        self._workers.remove(worker)
        if worker.job is None:
            self._stillbirths += 1
            if getattr(error, "actor_init_failed", False) or self._stillbirths >= _MAX_DEATHS:
                raise _start_error(error)
        else:
            deaths = self._deaths[worker.job.name] = self._deaths.get(worker.job.name, 0) + 1
            if deaths < _MAX_DEATHS:
                self._waiting.append(worker.job)
        if len(self._waiting) > sum(worker.is_starting for worker in self._workers):
            self.start(1)

    def kill(self) -> None:
        for worker in self._workers:
            ray.kill(worker.actor)

    def report_set_aside(self) -> None:
        lost = sorted(name for name, count in self._deaths.items() if count >= _MAX_DEATHS)
        if lost:
            raise UserError(
                f"{len(lost)} parts were set aside because their worker died {_MAX_DEATHS} times"
                f" ({', '.join(lost[:5])}); everything else is done: look into Ray's logs for the cause (often memory),"
                " then run the same command"
            )


def _start_error(error: RayError) -> Exception:
    if isinstance(error, ActorDiedError) and error.actor_init_failed:
        return error  # its text holds the constructor's traceback
    reason = " ".join(str(error).split())[:300]
    return UserError(
        f"{_MAX_DEATHS} workers died while they started ({reason}); look into Ray's logs for the cause (often memory)"
    )
