"""A pool of actors that work through jobs, each of which writes its own part.

An actor's death comes as ActorDiedError, ActorUnavailableError, NodeDiedError, WorkerCrashedError or
OutOfMemoryError, which share RayError and nothing narrower; an exception raised by the job's own code comes as
RayTaskError and is not retried, because it would come again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from psol_ray.errors import UserError

__all__ = ["Job", "run_pool"]

# One running and one waiting: an actor never idles between jobs, and a slow one hoards none.
_QUEUE = 2
_MAX_DEATHS = 3


@dataclass(frozen=True)
class Job:
    """One part to make. `arguments` go to the actor's `process`; `cost` is its number of images."""

    name: str
    arguments: tuple[Any, ...]
    cost: int


def run_pool(make_actor: Callable[[], Any], num_actors: int, jobs: Sequence[Job]) -> dict[str, Any]:
    """Run all jobs, the most costly first.

    A job whose actor dies is done again. One under which actors die three times is set aside; the rest is completed.

    Args:
        make_actor: starts an actor that has `process(*arguments)` and restarts by itself.
        num_actors: how many to start.
        jobs: what to do.

    Returns:
        what `process` returned, by the job's name.

    Raises:
        UserError: jobs were set aside; the others are done.
    """
    waiting = deque(sorted(jobs, key=lambda job: (-job.cost, job.name)))
    actors = [make_actor() for _ in range(min(num_actors, len(jobs)))]
    queues: list[deque[tuple[Any, Job]]] = [deque() for _ in actors]
    deaths: dict[str, int] = {}
    results: dict[str, Any] = {}
    try:
        while waiting or any(queues):
            _fill(actors, queues, waiting)
            ready, _ = ray.wait([queue[0][0] for queue in queues if queue], num_returns=1)
            queue = next(q for q in queues if q and q[0][0] == ready[0])
            try:
                results[queue[0][1].name] = ray.get(ready[0])
                queue.popleft()
            except RayTaskError as error:
                raise error.cause if isinstance(error.cause, UserError) else error
            except RayError:
                _requeue(queue, waiting, deaths)
    finally:
        for actor in actors:
            ray.kill(actor)
    _report_set_aside(deaths)
    return results


def _fill(actors: list[Any], queues: list[deque[tuple[Any, Job]]], waiting: deque[Job]) -> None:
    for depth in range(1, _QUEUE + 1):
        for actor, queue in zip(actors, queues, strict=True):
            if waiting and len(queue) < depth:
                job = waiting.popleft()
                queue.append((actor.process.remote(*job.arguments), job))


def _requeue(queue: deque[tuple[Any, Job]], waiting: deque[Job], deaths: dict[str, int]) -> None:
    """Only the job that was running can have killed the actor; those queued behind it are innocent."""
    running = queue[0][1]
    deaths[running.name] = deaths.get(running.name, 0) + 1
    again = [job for _, job in queue if job is not running or deaths[running.name] < _MAX_DEATHS]
    queue.clear()
    waiting.extendleft(reversed(again))


def _report_set_aside(deaths: dict[str, int]) -> None:
    lost = sorted(name for name, count in deaths.items() if count >= _MAX_DEATHS)
    if lost:
        raise UserError(
            f"{len(lost)} parts were set aside because their worker died {_MAX_DEATHS} times ({', '.join(lost[:5])});"
            " everything else is done: look into Ray's logs for the cause (often memory), then run the same command"
        )
