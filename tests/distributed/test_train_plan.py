"""What an attempt of a training is planned with."""

import pytest

from psol_ray.distributed import cluster
from psol_ray.distributed import train_plan as module
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.node_checks import NodeChecks, Probe
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.distributed.shares import Node
from psol_ray.distributed.train_plan import TrainingPlans


def test_where_ray_train_chooses_nodes_those_that_have_joined_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    there, asked = [Node("first", 4)], []
    monkeypatch.setattr(module, "plan_workers", lambda *_: WorkerPlan(2, 1, 0, min_workers=1))
    monkeypatch.setattr(module, "find_nodes", lambda: there)
    checks = NodeChecks(Probe(""))
    monkeypatch.setattr(checks, "fit", asked.extend)
    plans = TrainingPlans(ClusterConfig(min_workers=1), checks, gpu=False)
    first = plans()
    there.append(Node("late", 4))
    assert plans() is first
    assert [node.node_id for node in asked] == ["first", "late"]


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    """Those that there are, of a cluster whose autoscaler is asked for more and brings none; all are fit."""
    there = [Node(name, 8, 1) for name in "abcdefgh"]
    monkeypatch.setattr(module, "find_nodes", lambda: there)
    monkeypatch.setattr(cluster, "find_nodes", lambda: there)
    monkeypatch.setattr(cluster, "has_autoscaler", lambda: True)
    monkeypatch.setattr(cluster, "starts_nodes", lambda *_: True)
    monkeypatch.setattr(NodeChecks, "require", lambda _, nodes: list(nodes))
    return there


def test_before_it_has_begun_the_autoscaler_may_be_making_room(machines: list[Node]) -> None:
    del machines[3:]
    plans = TrainingPlans(ClusterConfig(workers=8), NodeChecks(Probe("")), gpu=True)
    assert [plans(has_begun=False).num_workers for _ in range(3)] == [8, 8, 8]


def test_without_an_autoscaler_a_machine_that_leaves_while_it_starts_is_not_waited_for(
    machines: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "has_autoscaler", lambda: False)
    plans = TrainingPlans(ClusterConfig(workers=8), NodeChecks(Probe("")), gpu=True)
    assert plans(has_begun=False).num_workers == 8
    machines.pop()
    assert plans(has_begun=False).num_workers == 7


def test_one_that_has_lost_a_machine_goes_on_with_those_that_are_left_at_once(
    machines: list[Node], capsys: pytest.CaptureFixture[str]
) -> None:
    plans = TrainingPlans(ClusterConfig(workers=8), NodeChecks(Probe("")), gpu=True)
    assert plans(has_begun=False).num_workers == 8
    machines.pop()
    assert plans(has_begun=True).num_workers == 7
    assert "training goes on with 7 of 8 workers" in capsys.readouterr().err
    machines += [Node("i", 8, 1), Node("j", 8, 1)]
    assert plans(has_begun=True).num_workers == 8
