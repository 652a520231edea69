"""Joining a cluster and dividing it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from psol_ray.distributed import cluster as module
from psol_ray.distributed.cluster import WorkerPlan, connect, plan_workers
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.distributed.shares import Share
from psol_ray.errors import UserError
from psol_ray.work.jobs import Resources


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process were connected to nothing, and must not start anything; what others use is left alone."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
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


@pytest.mark.usefixtures("apart")
def test_a_ray_that_is_late_is_tried_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    attempts = iter([Exception("The current node timed out during startup. This could"), ConnectionError("late"), None])

    def start(**_: Any) -> None:
        if error := next(attempts):
            raise error

    monkeypatch.setattr(ray, "init", start)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_ATTEMPTS", 0)
    connect(ClusterConfig())
    assert capsys.readouterr().err.count("trying again") == 2
    assert next(attempts, "all were used") == "all were used"


@pytest.mark.parametrize(
    ("error", "address", "sentence"),
    [
        (Exception("timed out\nduring startup"), None, r"^Ray did not start on this machine \(timed out\); if others"),
        (RuntimeError("Version mismatch"), "auto", r"^cluster.address: cannot join .* at 'auto' \(Version mismatch\)$"),
        (ConnectionError("no\nnode"), "auto", r"^cluster.address: no Ray cluster answers at 'auto' \(no\)"),
    ],
)
@pytest.mark.usefixtures("apart")
def test_a_ray_that_stays_away_is_told_in_a_sentence(
    error: Exception, address: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = 0

    def fail(**_: Any) -> None:
        nonlocal attempts
        attempts += 1
        raise error

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_ATTEMPTS", 0)
    with pytest.raises(UserError, match=sentence):
        connect(ClusterConfig(address=address))
    assert attempts == 3


def test_what_stays_wrong_is_not_tried_again(tmp_path: Path) -> None:
    """A real start of Ray, with a folder in which sockets cannot be: their paths have 107 characters at most."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    script = (
        "from psol_ray.distributed.cluster import connect; from psol_ray.distributed.settings import ClusterConfig;"
        " connect(ClusterConfig())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {
        "RAY_TMPDIR": str(long)
    }
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=300)
    assert "UserError: Ray did not start on this machine (validate_socket_filename failed" in done.stderr
    assert "trying again" not in done.stderr


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
