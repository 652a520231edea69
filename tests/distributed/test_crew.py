"""Workers that start, without a cluster. With real actors in test_pool."""

from typing import Any

import pyarrow as pa
import pytest

from psol_ray.distributed import crew as module
from psol_ray.distributed import slots as slots_module
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.crew import Crew
from psol_ray.distributed.pool_stats import PoolStats
from psol_ray.distributed.shares import Node, divide_gpus
from psol_ray.distributed.slots import Slots
from psol_ray.errors import UserError
from psol_ray.work.jobs import Job

NODES = [Node("a" * 56, 8, 4), Node("b" * 56, 8, 4)]


class Actor:
    """Never answers."""

    @property
    def __ray_call__(self) -> Any:
        return self

    def remote(self, *_: Any) -> object:
        return object()


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Crew:
    """Of two nodes of four GPUs, all of whose workers start."""
    monkeypatch.setattr(slots_module, "find_nodes", lambda: NODES)
    monkeypatch.setattr(module.ray, "kill", lambda _: None)
    slots = Slots(WorkerPlan(8, 2, 1, shares=divide_gpus(NODES)))
    crew = Crew(lambda *_: Actor(), slots, PoolStats())  # type: ignore[arg-type,return-value]
    crew.start(num_jobs=9)
    assert len(crew.workers) == 8
    return crew


@pytest.mark.parametrize("noticed_before", [False, True])
def test_workers_that_start_on_a_node_that_leaves_say_nothing_of_the_others(
    noticed_before: bool, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots_module, "find_nodes", lambda: NODES[:1])
    if noticed_before:  # as the pool looks for nodes every few seconds
        crew.slots.refresh()
    for worker in crew.workers[4:]:
        crew.dismiss(worker, "its node has died")
    assert len(crew.workers) == 4


def test_workers_that_die_while_they_start_end_the_run(crew: Crew) -> None:
    first, second, third, *_ = crew.workers
    crew.dismiss(first, "it was killed")
    crew.dismiss(second, "it was killed")
    with pytest.raises(UserError, match=r"^3 workers died while they started \(it was killed\)"):
        crew.dismiss(third, "it was killed")


def test_one_that_starts_may_be_on_any_node_for_a_while(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = crew.workers
    first.starting, first.node = None, "a"
    assert crew.nodes() == {"a", ""}
    monkeypatch.setattr(module, "_HOPE_SECONDS", 0.0)
    assert crew.nodes() == {"a"}


def test_who_will_be_free_first_is_told_by_what_it_holds_and_how_fast_it_was(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, near, slow, new, *_ = crew.workers
    for worker, images_done, answered_at, images_left in (
        (far, 100, 120.0, 30),
        (near, 100, 120.0, 10),
        (slow, 50, 130.0, 15),
        (new, 0, 125.0, 10),
    ):
        worker.starting, worker.began = None, 100.0
        worker.images_done, worker.answered_at = images_done, answered_at
        worker.jobs = {"an answer": Job("a job", pa.table({"image_id": [""] * images_left}))}
    # Seconds an image: 0.2, 0.2 and 0.6, on average a third; free at 126, 122, 139 and 128.3. Others still start.
    assert crew.by_free() == [near, far, new, slow]

    monkeypatch.setattr(module.time, "monotonic", lambda: 123.0)
    assert crew.by_late() == [slow, new, far, near], "nearly on time"
    monkeypatch.setattr(module.time, "monotonic", lambda: 124.5)
    assert crew.by_late() == [near, slow, new, far], "more than twice the 2 s that it was thought to take"


def test_nobody_is_given_up_on_while_machines_are_being_started(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_SECONDS", -1.0)
    monkeypatch.setattr(slots_module, "seconds_since_growth", lambda: -2.0)
    with pytest.raises(UserError, match="no worker has started"):
        crew.check_somebody_works(3)
    crew.slots = Slots(WorkerPlan(8, 2, 1, shares=divide_gpus(NODES), can_grow=True))
    crew.check_somebody_works(3)
