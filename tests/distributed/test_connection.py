"""Joining a cluster, or starting Ray here."""

import json
import os
import platform
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from synthetic.images import write_images

from psol_ray.distributed import ray_init
from psol_ray.distributed.connection import PROCESS_ENVIRONMENT, connect, disconnect
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.errors import UserError


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process were connected to nothing, and must not start anything; what others use is left alone."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("went on to Ray"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # One that is made here would stay, and be another than the one that this process has told Ray already.
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:  # bound and not listening: nobody else gets it, and nobody answers
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


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


@pytest.mark.parametrize(("environment", "address"), [(None, "local"), ("local", "local"), ("auto", "auto")])
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
    monkeypatch.setattr(ray_init, "_SECONDS_BETWEEN_ATTEMPTS", 0)
    connect(ClusterConfig())
    assert capsys.readouterr().err.count("trying again") == 2
    assert next(attempts, "all were used") == "all were used"


@pytest.mark.parametrize(
    ("error", "address", "sentence"),
    [
        (Exception("timed out\nduring startup"), None, r"^Ray did not start on this machine \(timed out\); if others"),
        (RuntimeError("no raylet"), "auto", r"^cluster.address: cannot join .* at 'auto' \(no raylet\)$"),
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
    monkeypatch.setattr(ray_init, "_SECONDS_BETWEEN_ATTEMPTS", 0)
    with pytest.raises(UserError, match=sentence):
        connect(ClusterConfig(address=address))
    assert attempts == 3
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("ended what it had not begun"))
    disconnect()


@pytest.mark.usefixtures("apart")
def test_what_stays_wrong_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.12.1\n"
        "This process on node 10.0.0.1 was started with:\n    Ray: 2.50.0\n    Python: 3.11.7\n"
    )
    attempts = iter([RuntimeError(said), None])

    def join(**_: Any) -> None:
        if error := next(attempts):
            raise error

    monkeypatch.setattr(ray, "init", join)
    expected = (
        "cluster.address: the Ray cluster at 'auto' runs Ray 2.60.0, Python 3.12.1, and this process Ray 2.50.0, Python"
        " 3.11.7; use the same of both here and on all its machines"
    )
    with pytest.raises(UserError, match=f"^{re.escape(expected)}$"):
        connect(ClusterConfig(address="auto"))


def test_a_head_of_another_version_is_one_sentence(cluster: str, tmp_path: Path) -> None:
    """A real head, and a process that says that it has another Ray."""
    program = "import sys, ray; ray.__version__ = '2.50.0'; from psol_ray.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "index", "--cluster.address", cluster]
    command += ["--run_dir", str(tmp_path / "run"), "--data.root", str(write_images(tmp_path / "images", ["red"]))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    version = f"Ray {ray.__version__}, Python {platform.python_version()}"
    assert line.startswith(f"psol index: cluster.address: the Ray cluster at '{cluster}' runs {version}, and this ")
    assert " Ray 2.50.0, Python" in line


@pytest.mark.usefixtures("apart")
def test_variables_of_the_job_win_over_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would not merge them."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(ray, "init", lambda **arguments: asked.update(arguments))
    submitted = {"runtime_env": {"env_vars": {"OPENBLAS_NUM_THREADS": "4", "AWS_REGION": "eu-central-1"}}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(submitted))
    connect(ClusterConfig(address="auto"))
    assert asked["runtime_env"]["env_vars"].keys() == PROCESS_ENVIRONMENT.keys() - {"OPENBLAS_NUM_THREADS"}


def test_the_state_of_a_node_that_is_lost_is_not_printed_and_that_it_is_lost_is() -> None:
    """By the knob that Ray reads while it is imported."""
    script = (
        "import psol_ray.distributed.connection; from ray._private.worker import print_to_stdstream as tell;"
        "[tell({'lines': [line], 'pid': 'raylet', 'is_err': False}, ignore_prefix=False) for line in"
        " ('The node a8 has been marked dead', 'Raylet is terminated. Last 20 lines:\\n [state-dump] nothing')]"
    )
    environment = {name: value for name, value in os.environ.items() if name != "RAY_DEDUP_LOGS_SKIP_REGEX"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert "The node a8 has been marked dead" in done.stdout
    assert "state-dump" not in done.stdout


def test_torch_knows_what_its_allocator_is_told() -> None:
    """It refuses what it does not know where a GPU is used first, which is in a worker."""
    script = (
        "import os, torch; torch._C._accelerator_setAllocatorSettings(os.environ['PYTORCH_ALLOC_CONF']);"
        "print(torch._C._accelerator_getAllocatorSettings())"
    )
    environment = {**os.environ, **PROCESS_ENVIRONMENT}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == PROCESS_ENVIRONMENT["PYTORCH_ALLOC_CONF"]
