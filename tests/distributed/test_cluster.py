"""Dividing a cluster."""

from collections.abc import Callable
from pathlib import Path

import pytest
import ray
import yaml

from psol_ray.distributed import cluster as module
from psol_ray.distributed.cluster import WorkerPlan, plan_workers
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.distributed.shares import Share
from psol_ray.errors import UserError
from psol_ray.work.jobs import Resources

Node = dict[str, float]


@pytest.fixture
def lend(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Node]], None]:
    """Makes a cluster of nodes that lend so much, and a dead one."""

    def install(nodes: list[Node]) -> None:
        dead = {"Alive": False, "NodeID": "dead", "Resources": {"CPU": 64, "GPU": 8}}
        alive = [{"Alive": True, "NodeID": str(i), "Resources": node} for i, node in enumerate(nodes)]
        monkeypatch.setattr(ray, "nodes", lambda: [dead, *alive])
        monkeypatch.setattr(module, "has_autoscaler", lambda: False)

    return install


@pytest.mark.parametrize(
    ("nodes", "workers", "plan"),
    [
        pytest.param([{"CPU": 8}], None, (1, 8, 0), id="a laptop"),
        pytest.param([{"CPU": 8}], 3, (3, 2, 0), id="a laptop divided"),
        pytest.param([{"CPU": 8}, {"CPU": 4}], None, (2, 4, 0), id="two unlike machines"),
        pytest.param([{"CPU": 8}, {"CPU": 4}], 3, (3, 4, 0), id="three workers fit two machines"),
        pytest.param([{"CPU": 16, "GPU": 4}], None, (4, 4, 1), id="a machine of four GPUs"),
        pytest.param([{"CPU": 16, "GPU": 4}], 2, (2, 4, 1), id="two of its GPUs"),
        pytest.param([{"CPU": 4}, {"CPU": 16, "GPU": 2}], None, (2, 8, 1), id="a head without a GPU"),
        pytest.param([{"CPU": 16, "GPU": 2}, {"CPU": 4, "GPU": 2}], None, (4, 2, 1), id="unlike GPU machines"),
        pytest.param([{"CPU": 2, "GPU": 8}], None, (2, 1, 1), id="more GPUs than CPUs"),
        pytest.param([{}, {"CPU": 2}], None, (1, 2, 0), id="a head that lends nothing"),
    ],
)
def test_plan(
    nodes: list[Node], workers: int | None, plan: tuple[int, int, int], lend: Callable[[list[Node]], None]
) -> None:
    """Workers, and the CPUs and GPUs that each has at least, as Ray Train wants them."""
    lend(nodes)
    found = plan_workers(ClusterConfig(workers=workers))
    assert (found.num_workers, found.num_cpus, found.num_gpus) == plan
    assert found.max_workers == workers
    assert not found.can_grow


def test_each_node_has_its_own_share(lend: Callable[[list[Node]], None]) -> None:
    lend([{"CPU": 64, "GPU": 4}, {"CPU": 32, "GPU": 8}])
    plan = plan_workers(ClusterConfig())
    assert plan.shares == (Share("0", 4, Resources(16, 0)), Share("1", 8, Resources(4, 0)))
    assert plan.resources() == {"CPU": 4, "GPU": 1}


def test_gpus_of_a_node_that_is_unfit_are_none(lend: Callable[[list[Node]], None]) -> None:
    """As of one that has joined a cluster of CPUs, and has no driver."""
    lend([{"CPU": 8}, {"CPU": 4, "GPU": 2}])
    plan = plan_workers(ClusterConfig(), lambda nodes: nodes[:1])
    assert (plan.num_workers, plan.num_cpus, plan.num_gpus) == (1, 8, 0)


@pytest.mark.parametrize(
    ("nodes", "workers", "memory"),
    [
        pytest.param([{"CPU": 8, "memory": 8e9}], None, 8e9, id="a machine alone"),
        pytest.param([{"CPU": 8, "memory": 8e9}], 4, 2e9, id="a quarter"),
        pytest.param([{"CPU": 4, "memory": 9e9}, {"CPU": 4, "memory": 2e9}], 2, 2e9, id="the poorer machine's"),
    ],
)
def test_a_plan_has_the_share_of_the_poorest_machines_memory(
    nodes: list[Node], workers: int | None, memory: float, lend: Callable[[list[Node]], None]
) -> None:
    lend(nodes)
    assert plan_workers(ClusterConfig(workers=workers)).memory == memory


@pytest.mark.parametrize(
    ("nodes", "workers", "complaint"),
    [
        pytest.param([{"CPU": 8}], 9, "cluster.workers: 9 were asked for and the cluster has 8 CPUs", id="CPUs"),
        pytest.param([{"CPU": 8, "GPU": 2}], 3, "3 were asked for and the cluster has 2 GPUs", id="GPUs"),
        pytest.param([{}], None, "no CPUs to work with", id="nothing at all"),
    ],
)
def test_refuses_a_plan_that_would_wait_for_ever(
    nodes: list[Node], workers: int | None, complaint: str, lend: Callable[[list[Node]], None]
) -> None:
    lend(nodes)
    with pytest.raises(UserError, match=complaint):
        plan_workers(ClusterConfig(workers=workers))


def test_refuses_more_workers_for_training_than_there_are(lend: Callable[[list[Node]], None]) -> None:
    lend([{"CPU": 8, "GPU": 2}])
    with pytest.raises(UserError, match=r"cluster\.min_workers: found 3, expected at most the 2 workers there are"):
        plan_workers(ClusterConfig(min_workers=3))


def test_ray_train_is_asked_for_gpus_only_where_there_are_some() -> None:
    assert WorkerPlan(2, 4, 1).resources() == {"CPU": 4, "GPU": 1}
    assert WorkerPlan(2, 4, 0).resources() == {"CPU": 4}


def test_the_head_of_the_cluster_file_lends_no_cpu() -> None:
    """Else a run that begins while the first GPU boots would work on it."""
    cluster = yaml.safe_load((Path(__file__).parents[2] / "cluster.yaml").read_text())
    types = cluster["available_node_types"]
    assert types[cluster["head_node_type"]]["resources"] == {"CPU": 0}
    assert sum(kind.get("max_workers", 0) for kind in types.values()) == cluster["max_workers"]
