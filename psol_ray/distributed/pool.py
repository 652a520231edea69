"""A pool of actors that work through jobs.

Why not one of Ray's: `ray.util.ActorPool` (2.60) is for developers of Ray, and drops a dead actor without replacing it.
Ray Data restarts actors and repeats tasks without end (`max_restarts` and `max_task_retries` are -1), so that one class
that kills its worker would keep a run in a loop. This pool starts another actor itself, so that it knows which job was
running, counts a job's deaths, and gives up the job and not the run. Which errors are deaths, `failures` says.

A worker may be given a job more than it is doing, so that it never waits for the driver. Once nothing else waits, an
idle worker also does what another holds, which may be slow; whoever is first has done it, and both write the same part.
What only one may do (a piece of a class, whose features it keeps) is taken from a worker that is frozen.

A worker that cannot open a job's images gives it back, for a worker on another node. Once no node is left that has not
tried, `LeftOut` decides whether the job is done without them.

The pool begins with the nodes that are there, and takes in those that join.
"""

import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from psol_ray.distributed.answer import Answer
from psol_ray.distributed.cluster import WorkerPlan, find_nodes
from psol_ray.distributed.crew import Crew
from psol_ray.distributed.failures import cause_of, is_actor_gone, raise_failure
from psol_ray.distributed.metrics import PoolMetrics
from psol_ray.distributed.pool_stats import PoolStats
from psol_ray.distributed.pool_worker import PoolWorker
from psol_ray.distributed.queue import MAX_DEATHS, Death, JobQueue
from psol_ray.distributed.set_aside import record_of
from psol_ray.distributed.shares import Node
from psol_ray.distributed.slots import Slots
from psol_ray.errors import ImagesAway, UserError, abbreviate
from psol_ray.log import say
from psol_ray.work.jobs import Job, Resources
from psol_ray.work.left_out import LeftOut

__all__ = ["PoolStats", "run_pool"]

# How often to look for nodes that have joined, and for workers that do not get on.
_LOOK_SECONDS = 5.0
# A job that is given back so often because of other jobs' images, though all of its own can be opened.
_MAX_GIVEN_BACK = 20
# Machines that may leave with a job before it is asked whether it is the job that takes them along.
_MAX_LOST = 10


def run_pool(
    start_actor: Callable[[Resources, str | None], ActorHandle],
    plan: WorkerPlan,
    jobs: Sequence[Job],
    *,
    jobs_per_worker: int = 1,
    on_done: Callable[[Job], None] | None = None,
    stats: PoolStats | None = None,
    fit: Callable[[list[Node]], list[Node]] | None = None,
    left_out: LeftOut | None = None,
    images_done: Callable[[], Mapping[str, int] | None] = lambda: None,
    metrics: PoolMetrics | None = None,
) -> Sequence[str]:
    """Run all jobs, the most costly first, and those that follow from them.

    A job whose actor dies is done again, after the others; one whose machine has left, at once. One under which actors
    die three times is set aside; the rest is completed.

    Args:
        start_actor: starts an actor with these resources, on this node if one is named. It has a method
            `run(method, name, packed_images, *arguments)`, which may be told the images that it is to leave out as
            `left_out`, and to be `careful` to report every batch; it returns `ImagesAway` where it cannot open some.
        plan: how many workers there are to be, and where.
        jobs: what to do.
        jobs_per_worker: the most it holds: one running, the others queued.
        on_done: called after each job.
        stats: filled in as the pool goes.
        fit: says which of the nodes there are may be used; None is all.
        left_out: decides whether to go on without images that are away, or were set aside with their part.
        images_done: says of each job, by its name, how many images are done; None while it does not know.
        metrics: exports how the pool stands.

    Returns:
        the other machines that have done jobs, by their names.

    Raises:
        UserError: jobs were set aside and the others are done; no worker starts; a job raised one; images are away;
            or Ray failed.
    """
    left_out = left_out or LeftOut()
    crew = Crew(start_actor, Slots(plan, fit), stats or PoolStats())
    pool = _Pool(crew, JobQueue(list(jobs)), jobs_per_worker, on_done, left_out, images_done)
    pool.metrics = metrics or pool.metrics
    try:
        while pool.is_busy():
            pool.step()
    finally:
        crew.close()
        pool.tell()
    if lost := pool.queue.set_aside():
        raise UserError(
            f"{len(lost)} parts were set aside because their worker died {MAX_DEATHS} times"
            f" ({abbreviate(lost, 5)}); everything else is done: {left_out.set_aside_file} says of what they died and"
            " which images may be the cause (often memory); mend that and run the same command, or add --skip to go on"
            " without them"
        )
    return sorted(pool.hosts - {socket.gethostname()})


@dataclass
class _Pool:
    crew: Crew
    queue: JobQueue
    jobs_per_worker: int
    on_done: Callable[[Job], None] | None
    left_out: LeftOut
    images_done: Callable[[], Mapping[str, int] | None]
    looked_at: float = float("-inf")
    has_answered: bool = False  # somebody, when it was last looked
    given_back: Counter[Job] = field(default_factory=Counter)
    lost: Counter[Job] = field(default_factory=Counter)  # how often its machine has left
    hosts: set[str] = field(default_factory=set)  # that have done a job
    metrics: PoolMetrics = field(default_factory=PoolMetrics)
    nodes_without_images: set[str] = field(default_factory=set)  # of which it was said that they cannot open some

    def is_busy(self) -> bool:
        return bool(self.queue.waiting) or any(self._is_unfinished(job) for job in self.crew.held())

    def _is_unfinished(self, job: Job) -> bool:
        return job not in self.queue.done

    def step(self) -> None:
        """Start workers, hand out jobs, and take in an answer if there is one."""
        started = time.perf_counter()
        if time.monotonic() - self.looked_at > _LOOK_SECONDS:
            self.crew.slots.refresh()
            self.looked_at = time.monotonic()
            self.crew.start(len(self.queue.waiting))
            self._hand_out()
            self._look_after_silent()
            self.tell()
        self._hand_out()
        # Those that have just started are to be given something before others are given more.
        starting = self.crew.is_starting()
        queued = self._queue(most=1 if starting else None) if not (starting and self.has_answered) else 0
        look_only = starting and (queued > 0 or self.has_answered)
        self.crew.check_somebody_works(len(self.queue.waiting))
        awaited = {answer: worker for worker in self.crew.workers for answer in worker.answers()}
        waiting = time.perf_counter()
        answered = _wait(list(awaited), 0 if look_only else _LOOK_SECONDS)
        stats = self.crew.stats
        stats.seconds_waiting += time.perf_counter() - waiting
        self.has_answered = answered is not None
        if answered is not None:
            self._take_in(awaited[answered], answered)
        stats.steps += 1
        stats.seconds += time.perf_counter() - started

    def tell(self) -> None:
        """Whoever looks from outside, how it stands."""
        there = Counter(worker.host for worker in self.crew.workers if worker.starting is None)
        running = len([job for job in self.crew.held() if self._is_unfinished(job)])
        self.metrics.look(len(self.queue.waiting), running, len(self.queue.set_aside()), there)

    def _hand_out(self) -> None:
        """To those that have nothing to do."""
        for worker in self.crew.idle():
            self._offer(worker)
        idle = self.crew.idle()
        if idle and not self.queue.waiting:
            speculative = [job for job in self._speculative_jobs() if not self.queue.away_on(job)]
            for worker, job in zip(idle, speculative, strict=False):
                self._give(worker, job)
                self.crew.stats.speculative_jobs += 1

    def _queue(self, most: int | None) -> int:
        """Behind what workers are doing; returns how many jobs it has given, which are `most` at most."""
        given = 0
        # Everybody gets a second job before anybody gets a third.
        for held in range(1, self.jobs_per_worker):
            if not self.queue.waiting:
                break
            place = 0  # how many will be free before it
            for worker in self.crew.by_free():
                may_have = len(worker.jobs) == held and not self._holds_suspect(worker) and given != most
                if may_have and self._offer(worker, place):
                    given += 1
                else:
                    place += 1
        return given

    def _offer(self, worker: PoolWorker, place: int = 0) -> bool:
        is_idle, nodes = not worker.jobs, self.crew.nodes()
        job = self.queue.take(worker, self.crew.workers, is_idle=is_idle, place=place, node=worker.node, nodes=nodes)
        if job is not None:
            self._give(worker, job)
        return job is not None

    def _give(self, worker: PoolWorker, job: Job) -> None:
        worker.give(job, self.left_out.of(job.images), is_suspect=self.queue.is_suspect(job))

    def _holds_suspect(self, worker: PoolWorker) -> bool:
        return any(self.queue.is_suspect(job) for job in worker.jobs.values())

    def _speculative_jobs(self) -> list[Job]:
        """Jobs that one worker alone holds: first those that are not begun, then those of who will be done last."""
        places = [(place, job) for worker in self.crew.by_late() for place, job in enumerate(worker.jobs.values())]
        held = Counter(job for _, job in places)
        free = [
            (place, job)
            for place, job in places
            if held[job] == 1 and job.is_independent and self._is_unfinished(job) and not self.queue.is_suspect(job)
        ]
        return [job for _, job in sorted(free, key=lambda held: -held[0])]

    def _take_in(self, worker: PoolWorker, answer: Any) -> None:
        try:
            answered = Answer.of(ray.get(answer))
        except RayError as error:
            if not is_actor_gone(error):
                raise_failure(error)
            self._replace(worker, cause_of(error))
            return
        self.crew.note_answer(worker)
        if worker.starting is not None:
            worker.starting = None
            worker.node, worker.host = answered.value
            if not self.crew.slots.may_use(worker.node):  # it has joined after Ray was told where to start nothing
                self.crew.send_away(worker)
            self.tell()
            self.crew.start(len(self.queue.waiting))
            return
        job = worker.jobs.pop(answer)
        self.metrics.note_waits(worker.host, answered.waited)
        if isinstance(answered.value, ImagesAway):
            self._take_back(worker, job, answered.value)
            return
        worker.images_done += job.cost
        if self._is_unfinished(job):
            self.hosts.add(worker.host)
            self.queue.finish(job, worker, answered.value)
            self.crew.stats.jobs_done += 1
            self.metrics.note_done(worker.host, answered.images)
            if self.on_done is not None:
                self.on_done(job)

    def _take_back(self, worker: PoolWorker, job: Job, away: ImagesAway) -> None:
        """The job's images, or those of its neighbour, are away there: have it done elsewhere, or without them."""
        if away.paths:
            self.queue.note_away(job, worker.node, away)
        if not self._is_unfinished(job) or job in self.crew.held():
            return
        self.queue.give_back(job)
        if not away.paths:
            self.given_back[job] += 1
            if self.given_back[job] > _MAX_GIVEN_BACK:
                raise UserError(f"{job.part or job.name}: {away}; run the same command when the storage is well again")
            return
        self.crew.start(len(self.queue.waiting))
        if self.queue.belongs_elsewhere(job, worker.node, self.crew.nodes()):
            if worker.node not in self.nodes_without_images:
                self.nodes_without_images.add(worker.node)
                say(f"On {worker.host} {away}; what cannot be opened there is done elsewhere")
            return
        tried = self.queue.away_on(job)
        hosts = {other.host for other in self.crew.workers if other.node in tried}
        self.left_out.add_away(self.queue.away_everywhere(job, self.crew.nodes()), hosts)
        self.queue.look_again(job)

    def _look_after_silent(self) -> None:
        counts = self.images_done() if any(worker.jobs for worker in self.crew.workers) else None
        worker = None if counts is None else self.crew.find_frozen(counts)
        if worker is not None:
            say(
                f"The worker on {worker.host} that did not get on with {worker.first_job.name} is ended, and another"
                " does it"
            )
            self._replace(worker, f"it did not get on for {worker.pulse.silent_s:.0f} s, and was ended")

    def _replace(self, worker: PoolWorker, cause: str) -> None:
        """Put a dead worker's jobs back into the queue, and start another."""
        self.crew.dismiss(worker, cause)
        self.metrics.note_death(worker.host, cause)
        held = self.crew.held()
        has_left = worker.node not in {node.node_id for node in find_nodes()}
        for job in worker.jobs.values():
            if self._is_unfinished(job) and job not in held:
                if has_left and self.lost[job] < _MAX_LOST:  # which says nothing of the job
                    self.lost[job] += 1
                    self.queue.give_back(job)
                    self.metrics.note_retry()
                    continue
                done = (self.images_done() or {}).get(job.name)
                self.queue.requeue(job, Death(time.time(), worker.host, cause, done))
                if len(deaths := self.queue.deaths(job)) >= MAX_DEATHS and self.left_out.add_set_aside(
                    job, record_of(job, deaths)
                ):
                    self.queue.revive(job)
                if len(deaths) < MAX_DEATHS:
                    self.metrics.note_retry()
        self.crew.start(len(self.queue.waiting))


def _wait(answers: list[Any], seconds: float) -> Any | None:
    if not answers:  # every node has left
        time.sleep(_LOOK_SECONDS)
        return None
    ready, _ = ray.wait(answers, num_returns=1, timeout=seconds)
    return ready[0] if ready else None
