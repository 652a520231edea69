"""What an attempt of a training is planned with."""

import pytest

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
