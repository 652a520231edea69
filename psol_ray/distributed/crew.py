"""The workers of a pool: started where there is room, told of where they do not get on, ended and replaced."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import ray
from ray.actor import ActorHandle

from psol_ray.distributed.pool_stats import PoolStats
from psol_ray.distributed.pool_worker import PoolWorker, where
from psol_ray.distributed.queue import MAX_DEATHS
from psol_ray.distributed.slots import Slots
from psol_ray.distributed.waiting import FROZEN_SECONDS, Teller
from psol_ray.errors import UserError
from psol_ray.work.jobs import Job, Resources

__all__ = ["START_SECONDS", "Crew"]

# An actor loads weights and builds a decoder; beyond this it hangs, or waits for resources that others hold.
START_SECONDS = 600.0
# One that starts may be on a node that sees images which the others do not. Weights and a decoder take seconds; what
# takes longer waits for what others use, perhaps for hours, and images that are away are not to wait for it.
_HOPE_SECONDS = 120.0
# Where one that starts will be nobody knows, so what dies shortly after a node has left is taken to have been there.
_LOSS_SECONDS = 30.0


@dataclass
class Crew:
    """All workers there are, those that start with them.

    `start_actor` starts an actor with these resources, on this node if one is named.
    """

    start_actor: Callable[[Resources, str | None], ActorHandle]
    slots: Slots
    stats: PoolStats
    workers: list[PoolWorker] = field(default_factory=list)
    _failed_starts: int = 0  # in a row, over all workers
    _worked_at: float = field(default_factory=time.monotonic)
    _teller: Teller = field(default_factory=Teller)

    def start(self, num_jobs: int) -> None:
        """Start as many as there are jobs that wait and room for, and ask for more room."""
        starting = sum(worker.starting is not None for worker in self.workers)
        while num_jobs > starting:
            share = self.slots.find_free([worker.share for worker in self.workers])
            if share is None:
                break
            self.slots.ask_for_more(0, 0, is_starting=True)
            actor = self.start_actor(*self.slots.place(share))
            # Comes back once the constructor has; of all methods that an actor has anyhow, the one that is documented.
            self.workers.append(PoolWorker(actor, share, actor.__ray_call__.remote(where)))
            self.stats.workers_started += 1
            starting += 1
        self.slots.ask_for_more(len(self.workers), num_jobs, is_starting=starting > 0)

    def note_answer(self, worker: PoolWorker) -> None:
        """It lives."""
        self._failed_starts = 0
        worker.note_answer()

    def idle(self) -> list[PoolWorker]:
        """Those that have started and have nothing to do."""
        return [worker for worker in self.workers if worker.starting is None and not worker.jobs]

    def by_free(self) -> list[PoolWorker]:
        """Those that have started, the one first that will be the first to have nothing to do."""
        return [worker for worker, _, _ in sorted(self._forecast(), key=lambda forecast: forecast[2])]

    def by_late(self) -> list[PoolWorker]:
        """Those that have started, the one first that will be the last to have nothing to do.

        Whoever takes more than twice as long as thought comes before all others: it may be frozen.
        """
        now = time.monotonic()

        def seconds_left(forecast: tuple[PoolWorker, float, float]) -> float:
            _, seconds, free_at = forecast
            return float("inf") if now > free_at + seconds else free_at - now

        return [worker for worker, _, _ in sorted(self._forecast(), key=seconds_left, reverse=True)]

    def _forecast(self) -> list[tuple[PoolWorker, float, float]]:
        """Those that have started, how many seconds what they hold takes in all, and when they will have done it.

        Whoever has done nothing yet is taken to be as fast as the others are on average.
        """
        there = [worker for worker in self.workers if worker.starting is None]
        paces = [worker.seconds_an_image for worker in there]
        known = [pace for pace in paces if pace is not None]
        usual = sum(known) / len(known) if known else 1.0
        seconds = [
            worker.images_left * (usual if pace is None else pace) for worker, pace in zip(there, paces, strict=True)
        ]
        return [(worker, left, worker.answered_at + left) for worker, left in zip(there, seconds, strict=True)]

    def is_starting(self) -> bool:
        """Whether somebody is."""
        return any(worker.starting is not None for worker in self.workers)

    def held(self) -> set[Job]:
        """Jobs that somebody has."""
        return {job for worker in self.workers for job in worker.jobs.values()}

    def nodes(self) -> set[str]:
        """Where workers are; "" stands for where one will be that has begun to start a short while ago."""
        return {
            worker.node for worker in self.workers if worker.starting is None or worker.pulse.silent_s < _HOPE_SECONDS
        }

    def check_somebody_works(self, num_jobs: int) -> None:
        """Say how long nobody has; raise a UserError after ten minutes in which no machine was being started either."""
        if any(worker.jobs for worker in self.workers):
            self._worked_at = time.monotonic()
            return
        seconds = time.monotonic() - self._worked_at
        hopeless_s = min(seconds, self.slots.seconds_since_growth())
        self._teller.tell(
            f"{num_jobs:,} parts have waited for a worker to start",
            seconds,
            "others may be using the cluster, see `ray status`; it is given up after"
            f" {START_SECONDS:.0f} s in which no machine is being started either",
        )
        if hopeless_s > START_SECONDS:
            raise UserError(
                f"no worker has started within {START_SECONDS:.0f} s; are others using the cluster?"
                " See `ray status`, and run the same command again"
            )

    def find_frozen(self, images_done: Mapping[str, int]) -> PoolWorker | None:
        """Tell of workers that do not get on; returns one where another has found nothing else that it may do."""
        busy = [worker for worker in self.workers if worker.jobs]
        for worker in busy:
            names = {job.name for job in worker.jobs.values()}
            worker.pulse.see({name: done for name, done in images_done.items() if name in names})
            self._teller.tell(
                f"A worker on {worker.host} has not got on with {worker.first_job.name}",
                worker.pulse.silent_s,
                f"its files may be slow, or it is frozen; it is ended after {FROZEN_SECONDS:.0f} s,"
                " once another has time",
            )
        frozen = [worker for worker in busy if worker.pulse.silent_s > FROZEN_SECONDS]
        return frozen[0] if frozen and self.idle() else None

    def dismiss(self, worker: PoolWorker, cause: str) -> None:
        """Of one that is dead, or has to be; raise a UserError where one after the other dies while it starts."""
        self._end(worker)  # ActorUnavailableError leaves it alive, perhaps
        self.stats.lost_at.append(time.time())
        self.slots.refresh()
        # Workers that start on a node that leaves, of which there may be many, say nothing of the others.
        if worker.starting is not None and self.slots.seconds_since_loss() > _LOSS_SECONDS:
            self._failed_starts += 1
            if self._failed_starts >= MAX_DEATHS:
                raise UserError(
                    f"{MAX_DEATHS} workers died while they started ({cause}); look into Ray's logs for the cause"
                    " (often memory)"
                )

    def send_away(self, worker: PoolWorker) -> None:
        """Of one that has started where nobody is to work."""
        self._end(worker)
        self.slots.refresh()

    def close(self) -> None:
        """End them all."""
        self.slots.close()
        while self.workers:
            self._end(self.workers[-1])

    def _end(self, worker: PoolWorker) -> None:
        ray.kill(worker.actor)
        self.workers.remove(worker)
        self.stats.worker_seconds += worker.seconds
