"""Where workers are started while nodes come and go. With real nodes in test_growth."""

from collections.abc import Callable

import pytest

from psol_ray.distributed import slots as module
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.shares import Node, divide_cpus, divide_gpus
from psol_ray.distributed.slots import Slots, scheduling_strategy
from psol_ray.work.jobs import Resources

SMALL, LARGE = Node("a" * 56, 32, 8, 8e9), Node("b" * 56, 64, 4, 9e9)
Change = Callable[[list[Node]], None]


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Change:
    """Says which nodes there are from now on."""
    return lambda nodes: monkeypatch.setattr(module, "find_nodes", lambda: nodes)


def gpu_plan(nodes: list[Node], max_workers: int | None = None) -> WorkerPlan:
    return WorkerPlan(1, 4, 1, shares=divide_gpus(nodes), max_workers=max_workers)


def fill(slots: Slots) -> list[tuple[Resources, str | None]]:
    """Places of workers, one after the other, until there is no room."""
    taken, places = [], []
    while share := slots.find_free(taken):
        taken.append(share)
        places.append(slots.place(share))
    return places


def test_unlike_nodes_have_workers_of_their_own_share(change: Change) -> None:
    change([SMALL, LARGE])
    places = fill(Slots(gpu_plan([SMALL, LARGE])))
    assert places.count((Resources(4, 0, 1e9), SMALL.node_id)) == 8
    assert places.count((Resources(16, 0, 2.25e9), LARGE.node_id)) == 4
    assert len(places) == 12


def test_where_nodes_are_alike_ray_chooses(change: Change) -> None:
    poorer = Node("c" * 56, 32, 8, 4e9)
    change([SMALL, poorer])
    assert fill(Slots(gpu_plan([SMALL, poorer], 3))) == [(Resources(4, 0, 0.5e9), None)] * 3


def test_a_node_that_joins_is_taken_in_up_to_the_workers_asked_for(change: Change) -> None:
    change([LARGE])
    unlimited, limited = Slots(gpu_plan([LARGE])), Slots(gpu_plan([LARGE], 6))
    assert len(fill(unlimited)) == len(fill(limited)) == 4
    change([LARGE, SMALL])
    for slots in (unlimited, limited):
        slots.refresh()
        assert slots.seconds_since_loss() == float("inf")
    assert len(fill(unlimited)) == 12
    assert len(fill(limited)) == 6


def test_a_node_that_leaves_takes_its_slots_along(change: Change) -> None:
    change([SMALL, LARGE])
    slots = Slots(gpu_plan([SMALL, LARGE]))
    change([SMALL])
    slots.refresh()
    assert 0 <= slots.seconds_since_loss() < 60
    assert len(fill(slots)) == 8
    change([])
    slots.refresh()
    assert fill(slots) == []


def test_a_plan_that_has_aged_is_brought_up_to_date(change: Change) -> None:
    change([LARGE])
    assert len(fill(Slots(gpu_plan([SMALL])))) == 4


def test_of_cpus_a_new_node_has_one_worker(change: Change) -> None:
    old, new = Node("a" * 56, 8), Node("b" * 56, 4)
    change([old, new])
    plan = WorkerPlan(1, 8, 0, shares=divide_cpus([old], 1))
    assert sorted(fill(Slots(plan)), key=str) == [
        (Resources(4), new.node_id),
        (Resources(8), old.node_id),
    ]


def test_of_cpus_a_new_node_has_the_workers_that_are_missing(change: Change) -> None:
    old, new = Node("a" * 56, 2), Node("b" * 56, 8)
    change([old, new])
    plan = WorkerPlan(4, 1, 0, shares=divide_cpus([old], 4), max_workers=4)
    places = fill(Slots(plan))
    assert places.count((Resources(1), old.node_id)) == 2
    assert places.count((Resources(4), new.node_id)) == 2


def test_a_worker_waits_for_its_node_and_for_no_other() -> None:
    strategy = scheduling_strategy("a" * 56)
    assert not isinstance(strategy, str)
    assert (strategy.node_id, strategy.soft) == ("a" * 56, False)
    assert scheduling_strategy(None) == "DEFAULT"


def test_a_node_that_has_joined_since_is_looked_at_before_it_may_be_used(change: Change) -> None:
    change([SMALL])
    fit = [SMALL]
    slots = Slots(gpu_plan([SMALL]), lambda nodes: [node for node in nodes if node in fit])
    assert slots.may_use(SMALL.node_id)
    change([SMALL, LARGE])
    assert not slots.may_use(LARGE.node_id)
    fit.append(LARGE)
    assert slots.may_use(LARGE.node_id)
