"""`psol boxes` under everything that dies: actors, a node, the driver, the disk. The table is that of a quiet run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.cluster_utils import Cluster
from synthetic.configs import write_config
from synthetic.images import write_images

from psol_ray.generators.ddt.heat_table import heat_table
from psol_ray.generators.ddt.worker import DdtWorker
from psol_ray.tables.boxes_table import boxes_table
from psol_ray.work.jobs import Parts, Task

from .conftest import HEAD, ON_RAY, Run, assert_same_boxes, boxes_of, worker_killed_once


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`psol boxes` on 40 small classes, in which nothing went wrong."""
    folder = tmp_path_factory.mktemp("quiet")
    root = write_images(folder / "images", [f"class{i:02d}" for i in range(40)], train=3, val=0)
    shutil.rmtree(root / "val")
    run = Run(write_config(folder, root), folder / "run", root)
    assert run.psol("index") == 0
    assert run.psol("boxes") == 0
    return run


@pytest.fixture
def begun(quiet: Run, tmp_path: Path) -> Run:
    """The same images, with nothing but a catalog."""
    shutil.copytree(quiet.run_dir / "catalog", tmp_path / "run" / "catalog")
    return Run(quiet.config, tmp_path / "run", quiet.root)


def parts(run: Run) -> list[Path]:
    return list((run.run_dir / "boxes").glob("part-*.parquet"))


def start_driver(run: Run, *flags: str) -> subprocess.Popen:
    """`psol boxes` in a process of its own, until some of its parts are there."""
    command = [
        sys.executable,
        "-m",
        "psol_ray.cli",
        "boxes",
        "--config",
        str(run.config),
        "--run_dir",
        str(run.run_dir),
    ]
    driver = subprocess.Popen([*command, *flags])
    while not parts(run):
        assert driver.poll() is None
        time.sleep(0.002)
    return driver


def test_two_actors_of_which_one_is_killed_draw_the_boxes_of_one(
    whole: Run, copy: Run, tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster
    shutil.rmtree(copy.run_dir / "boxes")
    marker = tmp_path / "killed"
    monkeypatch.setattr("psol_ray.generators.ddt.worker.DdtWorker", worker_killed_once(DdtWorker, marker))
    assert copy.psol("boxes", *ON_RAY, "--cluster.workers", "2") == 0
    assert marker.exists()
    assert_same_boxes(copy, whole)


def worker_killed_by(part_name: str) -> Any:
    class Fragile:
        def __init__(self, *_: Any) -> None:
            pass

        def process(self, task: Task) -> Parts:
            if task.name == part_name and any(task.paths):
                os.kill(os.getpid(), signal.SIGKILL)
            boxes_N4 = np.array([[0.0, 0, 1, 1] if path else [np.nan] * 4 for path in task.paths])
            status_N = np.where(np.isnan(boxes_N4[:, 0]), "unreadable", "ok")
            heat = heat_table(task.images, np.zeros((0, 1, 1), np.float32), np.zeros(len(task.paths), bool))
            return Parts(boxes=boxes_table(task.images, boxes_N4, status_N), heat=heat)

    return Fragile


def test_a_class_that_kills_its_workers_is_set_aside_and_left_out_where_it_is_to_be_skipped(
    copy: Run, cluster: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cluster
    shutil.rmtree(copy.run_dir / "boxes")
    monkeypatch.setattr("psol_ray.generators.ddt.worker.DdtWorker", worker_killed_by("part-red"))
    assert copy.psol("boxes", *ON_RAY) == 2
    (complaint,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("psol boxes: ")]
    assert "1 parts were set aside" in complaint
    assert "(part-red)" in complaint
    assert [path.name for path in (copy.run_dir / "boxes").glob("*.parquet")] == ["part-blue.parquet"]
    assert not (copy.run_dir / "boxes" / "_SUCCESS").exists()
    written_down = copy.run_dir / "boxes" / "set_aside.json"
    assert str(written_down) in complaint
    (record,) = json.loads(written_down.read_text())
    assert (record["part"], record["images"], len(record["deaths"])) == ("part-red", 9, 3)
    assert "exit" in record["deaths"][0]["cause"].lower()
    assert len(record["suspects"]["most_pixels"]) == 3

    assert "or add --skip" in complaint
    assert copy.psol("boxes", *ON_RAY, "--skip") == 3
    gap = capsys.readouterr().err.splitlines()[-1]
    assert gap.startswith("psol boxes: done, but not whole: boxes: 9 of 18 images are of parts that were set aside")
    statuses = dict(zip(*boxes_of(copy).select(["image_id", "status"]).to_pydict().values(), strict=True))
    assert {status for image, status in statuses.items() if "/red/" in image} == {"missing"}
    assert {status for image, status in statuses.items() if "/blue/" in image} == {"ok"}
    # Nothing is learned from them, and the next stage begins.
    shutil.rmtree(copy.run_dir / "localizer")
    assert copy.psol("train localizer") == 0
    assert json.loads((copy.run_dir / "localizer" / "_SUCCESS").read_text())["summary"]["left_out"] == 6


@pytest.mark.slow
def test_goes_on_where_a_killed_driver_left_off(quiet: Run, begun: Run, cluster: str) -> None:
    driver = start_driver(begun, "--cluster.address", cluster)
    driver.kill()
    driver.wait()
    assert not (begun.run_dir / "boxes" / "_SUCCESS").exists()
    written = {path: path.stat().st_mtime_ns for path in parts(begun)}
    assert len(written) < 40
    assert begun.psol("boxes") == 0
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert_same_boxes(begun, quiet)


@pytest.fixture
def two_nodes() -> Iterator[tuple[Cluster, Any]]:
    """A cluster of two simulated machines of one CPU, and one of them."""
    cluster = Cluster(initialize_head=True, connect=False, head_node_args=HEAD)
    cluster.add_node(num_cpus=1)
    lost = cluster.add_node(num_cpus=1)
    yield cluster, lost
    cluster.shutdown()


@pytest.mark.slow
def test_goes_on_without_a_node_that_is_gone(quiet: Run, begun: Run, two_nodes: tuple[Cluster, Any]) -> None:
    cluster, lost = two_nodes
    driver = start_driver(begun, "--cluster.address", cluster.address, "--cluster.workers", "2")
    cluster.remove_node(lost, allow_graceful=False)
    assert driver.wait(timeout=300) == 0
    assert_same_boxes(begun, quiet)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk needs root: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_goes_on_once_a_full_disk_has_room(
    quiet: Run, begun: Run, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(begun.run_dir, small_disk / "run")
    full = Run(quiet.config, small_disk / "run", quiet.root)
    assert full.psol("boxes") == 2
    (complaint,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("psol boxes: ")]
    assert "cannot be written" in complaint
    assert "No space left on device" in complaint
    assert len(parts(full)) < 40
    assert not (full.run_dir / "boxes" / "_SUCCESS").exists()

    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert full.psol("boxes") == 0
    assert_same_boxes(full, quiet)
