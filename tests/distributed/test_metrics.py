"""What a real Prometheus reads of a real run on a Ray of its own, and whether the dashboard asks for what there is."""

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from synthetic.configs import write_config
from synthetic.images import cut_short, write_images

from psol_ray.cli import main
from psol_ray.distributed.metrics import NAMES
from psol_ray.tables import BOXES, RunDir

from .autoscaled import kill_tree

# Dear fixtures, for which one process is enough.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("metrics")]

ROOT = Path(__file__).parents[2]
_RAY = Path(sys.executable).with_name("ray")
_LIMIT_SECONDS = 500  # of a machine that is busy with other things, too
# Of a cluster without GPUs, and a run without faults beyond the one that the test makes, these say nothing.
_MAY_BE_EMPTY = {"ray_node_gpus_utilization", "ray_psol_training_restarts_total"}

# Two commands by one process, the first with a worker that is killed once.
_DRIVER = """
import sys
from pathlib import Path
from psol_ray.cli import main
import psol_ray.generators.ddt.worker as worker
from pipeline.conftest import worker_killed_once

marker, *flags = sys.argv[1:]
worker.DdtWorker = worker_killed_once(worker.DdtWorker, Path(marker))
assert main(["boxes", *flags]) == 0
assert main(["train", *flags, "localizer"]) == 0
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Prometheus:
    """A server, asked by its HTTP API."""

    port: int

    def ask(self, path: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def query(self, expression: str, *labels: str) -> dict[Any, float]:
        """Values by those labels, by all of them if there is more than one."""
        result = self.ask("query", query=expression)["result"]
        keys = [tuple(each["metric"].get(label, "") for label in labels) for each in result]
        return {
            key[0] if len(key) == 1 else key: float(each["value"][1]) for key, each in zip(keys, result, strict=True)
        }


def wait_for(what: Any) -> Any:
    """What it returns, once that is not nothing."""
    deadline = time.monotonic() + _LIMIT_SECONDS
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a Ray with a dashboard, whose metrics are a second old at most, and its folder."""
    # Short, because of sockets.
    folder = Path("/tmp") / f"psol-metrics-{os.getpid()}"
    port, log = free_port(), tmp_path_factory.mktemp("head") / "log"
    names = ("ray-client-server", "dashboard", "dashboard-agent-listen", "dashboard-agent-grpc", "metrics-export")
    ports = [f"--{name}-port={free_port()}" for name in (*names, "runtime-env-agent")]
    config = json.dumps({"metrics_report_interval_ms": 1000})
    command = [_RAY, "start", "--head", "--block", "--num-cpus=2", f"--port={port}", f"--temp-dir={folder}"]
    flags = ["--disable-usage-stats", "--include-dashboard=true", f"--system-config={config}"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*map(str, command), *ports, *flags],
            env={**os.environ, "RAY_AUTH_MODE": "disabled"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: process.poll() is not None or "Ray runtime started" in log.read_text())
        address = re.search(r"--address='([^']+)'", log.read_text())
        assert address, log.read_text()
        yield address[1], folder
    finally:
        kill_tree(process)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def program(pytestconfig: pytest.Config) -> str:
    """Prometheus: the one that is installed, else Debian's package, unpacked and kept in pytest's cache."""
    if installed := shutil.which("prometheus"):
        return installed
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("prometheus")
    unpacked = folder / "usr/bin/prometheus"
    if not unpacked.exists():
        try:
            subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, check=True, capture_output=True)
            (package,) = folder.glob("prometheus_*.deb")
            subprocess.run(["dpkg-deb", "--extract", package, folder], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError, ValueError):
            pytest.skip("prometheus is not installed, and Debian's package of that name could not be fetched")
    return str(unpacked)


@pytest.fixture(scope="module")
def prometheus(program: str, head: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the project's own configuration, but for its places and its haste."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    config = yaml.safe_load((ROOT / "deploy/prometheus.yaml").read_text())
    config["global"]["scrape_interval"] = "1s"
    (discovery,) = config["scrape_configs"][0]["file_sd_configs"]
    default = "/tmp/ray/"
    assert discovery["files"][0].startswith(default)
    discovery |= {"files": [discovery["files"][0].replace(default, f"{head[1]}/")], "refresh_interval": "1s"}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    flags = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as output:
        process = subprocess.Popen(
            [program, *flags, f"--web.listen-address=127.0.0.1:{port}"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(lambda: "Server is ready to receive web requests" in (folder / "log").read_text())
        yield Prometheus(port)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def run_dir(head: tuple[str, Path], prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boxes and a localizer, made under the eyes of Prometheus by a process that has ended."""
    assert prometheus
    folder = tmp_path_factory.mktemp("monitored")
    root = write_images(folder / "images", ["red", "blue"], train=40, val=8)
    cut_short(root / "train/red/1.jpg")
    config = write_config(folder, root)
    run_dir = folder / "seen"
    flags = ["--config", str(config), "--run_dir", str(run_dir)]
    assert main(["index", *flags]) == 0
    path = os.pathsep.join([str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(folder / "killed"), *flags, "--cluster.address", head[0]],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "killed").exists()
    return run_dir


def test_prometheus_counts_the_rows_of_the_table(prometheus: Prometheus, run_dir: Path) -> None:
    expected = dict(Counter(RunDir(str(run_dir)).stage("boxes").read(BOXES)["status"].to_pylist()))
    assert expected["unreadable"] == 1
    by_status = 'sum by (status) (ray_psol_images_total{run="seen", stage="boxes"})'
    wait_for(lambda: prometheus.query(by_status, "status") == expected)
    by_node = 'sum by (node) (ray_psol_images_total{run="seen", stage="boxes"})'
    assert prometheus.query(by_node, "node") == {socket.gethostname(): 96}
    # The worker that was killed held both.
    for name, count in (("parts_done", 2), ("worker_deaths", 1), ("retries", 2)):
        found = prometheus.query(f'sum by (stage) (ray_psol_{name}_total{{run="seen"}})', "stage")
        assert (name, found) == (name, {"boxes": count})


def test_it_has_seen_the_run_get_on(prometheus: Prometheus, run_dir: Path) -> None:
    steps = json.loads((run_dir / "localizer/metrics.jsonl").read_text().splitlines()[-1])["step"]
    seen = {
        name: prometheus.query(f"max by (stage) (max_over_time(ray_psol_{name}[10m]))", "stage")
        for name in ("progress_images", "progress_images_wanted", "training_steps", "parts_waiting", "parts_set_aside")
    }
    assert seen["progress_images_wanted"]["boxes"] == 96
    assert seen["progress_images"]["localizer"] == seen["progress_images_wanted"]["localizer"]
    assert seen["training_steps"] == {"localizer": steps}
    assert seen["parts_set_aside"] == {"boxes": 0}
    assert seen["parts_waiting"]["boxes"] >= 0
    workers = prometheus.query("max by (node) (max_over_time(ray_psol_workers[10m]))", "node")
    assert workers == {socket.gethostname(): 1}
    for name in ("decode", "network"):
        waited = prometheus.query(f"sum by (stage) (ray_psol_{name}_wait_seconds_total)", "stage")
        assert waited.keys() == {"boxes", "localizer"}
        assert all(0 < seconds < _LIMIT_SECONDS for seconds in waited.values())


def test_labels_are_few(prometheus: Prometheus, run_dir: Path) -> None:
    assert run_dir
    series = prometheus.ask("series", **{"match[]": '{__name__=~"ray_psol_.*"}'})
    ours = {"run", "stage", "status", "node"}
    of_all = {"Component", "NodeAddress", "SessionName", "Version", "WorkerId", "__name__", "instance", "job"}
    labels = {label for each in series for label in each if not label.startswith("otel_")}
    assert labels <= ours | of_all
    assert len(series) < 60


def expressions() -> list[str]:
    panels = json.loads((ROOT / "deploy/grafana.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"\bray_\w+", expression))


@pytest.mark.parametrize("expression", expressions())
def test_every_panel_finds_what_it_asks_for(prometheus: Prometheus, run_dir: Path, expression: str) -> None:
    assert run_dir
    names = metrics_of(expression)
    assert names
    ours = {name for name in names if name.startswith("ray_psol_")}
    assert {name.removeprefix("ray_") for name in ours} <= NAMES
    # Of the time when there was a run.
    asked = expression.replace("$run", "seen")
    end = time.time()
    result = prometheus.ask("query_range", query=asked, start=str(end - 600), end=str(end), step="1")["result"]
    assert bool(result) or names & _MAY_BE_EMPTY, asked
    known = set(prometheus.ask("label/__name__/values")) | {"ray_node_gpus_utilization"}
    assert names - _MAY_BE_EMPTY <= known


def test_every_metric_is_on_the_dashboard() -> None:
    asked = {name for expression in expressions() for name in metrics_of(expression)}
    assert {f"ray_{name}" for name in NAMES} <= asked


def test_what_ray_exports_of_gpus_is_called_as_the_dashboard_asks() -> None:
    panels = importlib.util.find_spec("ray.dashboard.modules.metrics.dashboards.default_dashboard_panels")
    assert panels is not None
    assert "ray_node_gpus_utilization{" in Path(panels.origin or "").read_text()


def test_every_metric_is_described() -> None:
    rows = [line for line in (ROOT / "docs/monitoring.md").read_text().splitlines() if line.startswith("| `psol_")]
    assert {name for row in rows for name in re.findall(r"`(psol_\w+)`", row)} == NAMES
