"""Joining a cluster and dividing it."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import ray

from psol_ray.config import ClusterConfig
from psol_ray.distributed.cluster import WorkerPlan, connect, plan_workers
from psol_ray.errors import UserError


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process were connected to nothing, and must not start anything."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("went on to Ray"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:  # bound and not listening: nobody else gets it, and nobody answers
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    "address", ["head", "head:", ":6379", "head:port", "head:99999", "http://127.0.0.1:8265", "ray://head", ""]
)
@pytest.mark.usefixtures("apart")
def test_refuses_what_is_no_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not address:
        monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    with pytest.raises(UserError, match=r"found '.*', expected HOST:PORT of the cluster's head"):
        connect(ClusterConfig(address=address or None))


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.usefixtures("apart")
def test_says_within_seconds_that_nobody_answers(scheme: str, closed_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(
        UserError, match=rf"cluster.address: no Ray cluster answers at '{scheme}127.0.0.1:{closed_port}'"
    ):
        connect(ClusterConfig(address=f"{scheme}127.0.0.1:{closed_port}"))
    assert time.monotonic() - started < 10


@pytest.mark.usefixtures("apart")
def test_blames_the_environment_for_its_address(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    with pytest.raises(UserError, match=r"^RAY_ADDRESS: no Ray cluster answers"):
        connect(ClusterConfig())


@pytest.mark.parametrize(("environment", "address"), [(None, "local"), ("auto", "auto")])
@pytest.mark.usefixtures("apart")
def test_starts_its_own_ray_unless_there_is_an_address(
    environment: str | None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(ray, "init", lambda **arguments: asked.update(arguments))
    if environment:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    connect(ClusterConfig())
    assert asked["address"] == address


def test_stays_with_the_cluster_it_has(cluster: str) -> None:
    connect(ClusterConfig(address="127.0.0.1:1"))
    assert ray.get_runtime_context().gcs_address == cluster


Node = dict[str, float]


@pytest.mark.parametrize(
    ("nodes", "workers", "plan"),
    [
        pytest.param([{"CPU": 8}], None, WorkerPlan(1, 8, 0), id="a laptop"),
        pytest.param([{"CPU": 8}], 3, WorkerPlan(3, 2, 0), id="a laptop divided"),
        pytest.param([{"CPU": 8}, {"CPU": 4}], None, WorkerPlan(2, 4, 0), id="two unlike machines"),
        pytest.param([{"CPU": 8}, {"CPU": 4}], 3, WorkerPlan(3, 4, 0), id="three workers fit two machines"),
        pytest.param([{"CPU": 16, "GPU": 4}], None, WorkerPlan(4, 4, 1), id="a machine of four GPUs"),
        pytest.param([{"CPU": 16, "GPU": 4}], 2, WorkerPlan(2, 4, 1), id="two of its GPUs"),
        pytest.param([{"CPU": 4}, {"CPU": 16, "GPU": 2}], None, WorkerPlan(2, 8, 1), id="a head without a GPU"),
        pytest.param(
            [{"CPU": 16, "GPU": 2}, {"CPU": 4, "GPU": 2}], None, WorkerPlan(4, 2, 1), id="unlike GPU machines"
        ),
        pytest.param([{"CPU": 2, "GPU": 8}], None, WorkerPlan(2, 1, 1), id="more GPUs than CPUs"),
        pytest.param([{}, {"CPU": 2}], None, WorkerPlan(1, 2, 0), id="a head that lends nothing"),
    ],
)
def test_plan(nodes: list[Node], workers: int | None, plan: WorkerPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = {"Alive": False, "Resources": {"CPU": 64, "GPU": 8}}
    monkeypatch.setattr(ray, "nodes", lambda: [dead, *({"Alive": True, "Resources": node} for node in nodes)])
    assert plan_workers(ClusterConfig(workers=workers)) == plan


@pytest.mark.parametrize(
    ("nodes", "workers", "memory"),
    [
        pytest.param([{"CPU": 8, "memory": 8e9}], None, 8e9, id="a machine alone"),
        pytest.param([{"CPU": 8, "memory": 8e9}], 3, 2e9, id="one of four that would fit"),
        pytest.param([{"CPU": 4, "memory": 9e9}, {"CPU": 4, "memory": 2e9}], 2, 2e9, id="the poorer machine's"),
    ],
)
def test_a_worker_has_its_share_of_the_poorest_machines_memory(
    nodes: list[Node], workers: int | None, memory: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": node} for node in nodes])
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
    nodes: list[Node], workers: int | None, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": node} for node in nodes])
    with pytest.raises(UserError, match=complaint):
        plan_workers(ClusterConfig(workers=workers))


def test_ray_train_is_asked_for_gpus_only_where_there_are_some() -> None:
    assert WorkerPlan(2, 4, 1).resources() == {"CPU": 4, "GPU": 1}
    assert WorkerPlan(2, 4, 0).resources() == {"CPU": 4}
