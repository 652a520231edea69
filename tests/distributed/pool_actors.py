"""Actors that write files, and what they are given, for tests of the pool."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from synthetic.tables import catalog_of, image

from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.shares import Share
from psol_ray.work.jobs import Job, Resources

# Workers cannot import tests.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

Behaviour = Callable[[Path, str], Any]


def actor_factory(
    folder: Path,
    behaviour: Behaviour,
    starting: Callable[[], None] = lambda: None,
    jobs_at_once: int = 1,
    **options: Any,
) -> Callable[[Resources, str | None], Any]:
    """Makes actors that note each job they begin, behave, write the job's file, and answer with their process."""

    class Scribe:
        def __init__(self) -> None:
            starting()

        # Without annotations, which would have to be imported where this is unpickled.
        def run(self, method, name, packed, left_out=(), careful=False):  # type: ignore[no-untyped-def]
            assert method == "process"
            assert packed
            with open(folder / "begun", "a") as log:
                log.write(name + "\n")
            if careful:
                (folder / f"{name}.careful").touch()
            if left_out:
                (folder / f"{name}.without").write_text(" ".join(left_out))
            elif (answer := behaviour(folder, name)) is not None:
                return answer
            (folder / f"{name}.done").touch()
            return os.getpid()

    actor = ray.remote(Scribe).options(num_cpus=0, max_concurrency=jobs_at_once, **options)
    return lambda _, __: actor.remote()


def plan(num_workers: int) -> WorkerPlan:
    """Room for so many workers on the one node there is."""
    share = Share(ray.get_runtime_context().get_node_id(), num_workers, Resources(1))
    return WorkerPlan(num_workers, 1, 0, shares=(share,), max_workers=num_workers)


def job(name: str, cost: int = 1, **more: Any) -> Job:
    return Job(name, catalog_of(*[image(name)] * cost), **more)


def jobs(*names: str) -> list[Job]:
    return [job(name, cost) for cost, name in enumerate(reversed(names))][::-1]


def done(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.done")}


def begun(folder: Path) -> list[str]:
    return (folder / "begun").read_text().split()


def behave(_: Path, __: str) -> None:
    pass


def hang_unless_first(folder: Path) -> Callable[[], None]:
    """A start that only the first actor gets through in time."""

    def start() -> None:
        try:
            (folder / "first").touch(exist_ok=False)
        except FileExistsError:
            time.sleep(60)

    return start
