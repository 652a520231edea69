"""A pool of actors that work through jobs, each of which writes its own part.

Ray tells three things apart, and so does the pool:

- RayTaskError: the job's own code raised. It would raise again, so it ends the run. A UserError is raised as itself.
- ActorDiedError with `actor_init_failed`: the actor's constructor raised. It would raise again, too.
- Any other RayError (ActorDiedError, ActorUnavailableError, NodeDiedError, WorkerCrashedError, OutOfMemoryError, ...,
  which have no narrower kin): the actor is gone. Actors are made without `max_restarts`: the pool starts another
  itself, so that it knows which job was running, and that a new actor got through its constructor.

An actor may be given a job more than it is doing, so that it never waits for the driver. Once nothing else waits, an
idle actor also does what another holds, which may be slow; whoever is first has done it, and both write the same part.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from psol_ray.distributed.jobs import MAX_DEATHS, Backlog, Job
from psol_ray.errors import UserError

__all__ = ["run_pool"]

# An actor loads weights and builds a decoder; beyond this it hangs, or waits for resources that others hold.
_START_SECONDS = 600.0


@dataclass(eq=False)
class _Worker:
    """An actor, the answer of its constructor while that is not there yet, and its jobs by their answers."""

    actor: Any
    starting: Any | None
    jobs: dict[Any, Job] = field(default_factory=dict)

    def give(self, job: Job) -> None:
        self.jobs[getattr(self.actor, job.method).remote(*job.arguments)] = job

    def answers(self) -> list[Any]:
        return list(self.jobs) if self.starting is None else [self.starting]


def run_pool(
    make_actor: Callable[[], Any],
    num_actors: int,
    jobs: Sequence[Job],
    *,
    jobs_an_actor: int = 1,
    on_done: Callable[[Job], None] | None = None,
) -> None:
    """Run all jobs, the most costly first, and those that follow from them.

    A job whose actor dies is done again, after the others. One under which actors die three times is set aside; the
    rest is completed.

    Args:
        make_actor: starts an actor that has the jobs' methods.
        num_actors: how many to start.
        jobs: what to do.
        jobs_an_actor: the most it holds: one running, the others queued.
        on_done: called after each job.

    Raises:
        UserError: jobs were set aside and the others are done; no actor starts; or a job raised one.
    """
    pool = _Pool(make_actor, Backlog(list(jobs)), jobs_an_actor, on_done)
    try:
        pool.start(min(num_actors, len(jobs)))
        while pool.is_busy():
            pool.step()
    finally:
        pool.kill()
    if lost := pool.backlog.set_aside():
        raise UserError(
            f"{len(lost)} parts were set aside because their worker died {MAX_DEATHS} times"
            f" ({', '.join(lost[:5])}); everything else is done: look into Ray's logs for the cause (often memory),"
            " then run the same command"
        )


@dataclass
class _Pool:
    make_actor: Callable[[], Any]
    backlog: Backlog
    jobs_an_actor: int
    on_done: Callable[[Job], None] | None
    workers: list[_Worker] = field(default_factory=list)
    stillbirths: int = 0  # in a row, over all workers

    def start(self, num_actors: int) -> None:
        for _ in range(num_actors):
            actor = self.make_actor()
            self.workers.append(_Worker(actor, actor.__ray_ready__.remote()))

    def is_busy(self) -> bool:
        return bool(self.backlog.waiting) or any(
            self._is_unfinished(job) for w in self.workers for job in w.jobs.values()
        )

    def _is_unfinished(self, job: Job) -> bool:
        return job not in self.backlog.done

    def step(self) -> None:
        """Hand out jobs and take in what answers there are."""
        self._hand_out()
        awaited = {answer: worker for worker in self.workers for answer in worker.answers()}
        somebody_works = any(worker.jobs for worker in self.workers)
        answered, _ = ray.wait(list(awaited), num_returns=1, timeout=None if somebody_works else _START_SECONDS)
        if not answered:
            raise UserError(
                f"no worker has started within {_START_SECONDS:.0f} s; are others using the cluster?"
                " See `ray status`, and run the same command again"
            )
        self._take_in(awaited[answered[0]], answered[0])

    def _hand_out(self) -> None:
        # Everybody gets a job before anybody gets two.
        for held in range(self.jobs_an_actor):
            for worker in self.workers:
                if worker.starting is None and len(worker.jobs) == held and not self._holds_suspect(worker):
                    job = self.backlog.take(worker, self.workers, is_idle=held == 0)
                    if job is not None:
                        worker.give(job)
        idle = [worker for worker in self.workers if worker.starting is None and not worker.jobs]
        if idle and not self.backlog.waiting:
            for worker, job in zip(idle, self._held_by_one(), strict=False):
                worker.give(job)

    def _holds_suspect(self, worker: _Worker) -> bool:
        return any(self.backlog.must_be_alone(job) for job in worker.jobs.values())

    def _held_by_one(self) -> list[Job]:
        """Jobs that one actor alone holds: first those it has not begun, and of those the largest."""
        places = [(place, job) for worker in self.workers for place, job in enumerate(worker.jobs.values())]
        held = Counter(job for _, job in places)
        free = [
            (place, job)
            for place, job in places
            if held[job] == 1 and job.is_on_its_own and self._is_unfinished(job) and not self.backlog.must_be_alone(job)
        ]
        return [job for _, job in sorted(free, key=lambda held: (-held[0], -held[1].cost))]

    def _take_in(self, worker: _Worker, answer: Any) -> None:
        try:
            value = ray.get(answer)
        except RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise error.cause from None
            raise
        except RayError as error:
            self._bury(worker, error)
            return
        self.stillbirths = 0
        if worker.starting is not None:
            worker.starting = None
            return
        job = worker.jobs.pop(answer)
        if self._is_unfinished(job):
            self.backlog.finish(job, worker, value)
            if self.on_done is not None:
                self.on_done(job)

    def _bury(self, worker: _Worker, error: RayError) -> None:
        ray.kill(worker.actor)  # ActorUnavailableError leaves it alive, perhaps
        self.workers.remove(worker)
        if worker.starting is not None:
            self.stillbirths += 1
            if getattr(error, "actor_init_failed", False) or self.stillbirths >= MAX_DEATHS:
                raise _start_error(error)
        held = {job for other in self.workers for job in other.jobs.values()}
        for job in worker.jobs.values():
            if self._is_unfinished(job) and job not in held:
                self.backlog.bury(job)
        if len(self.backlog.waiting) > sum(other.starting is not None for other in self.workers):
            self.start(1)

    def kill(self) -> None:
        for worker in self.workers:
            ray.kill(worker.actor)


def _start_error(error: RayError) -> Exception:
    if isinstance(error, ActorDiedError) and error.actor_init_failed:
        return error  # its text holds the constructor's traceback
    reason = " ".join(str(error).split())[:300]
    return UserError(
        f"{MAX_DEATHS} workers died while they started ({reason}); look into Ray's logs for the cause (often memory)"
    )
