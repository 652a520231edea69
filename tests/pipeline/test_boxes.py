"""`psol boxes` through actors that die, and a driver that dies."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import ray

from psol_ray.distributed.locate import Locator
from psol_ray.tables import BOXES, RunDir
from psol_ray.tables.schemas import boxes_array

from .conftest import Run
from .trees import write_config, write_images


def boxes_of(run: Run) -> pa.Table:
    return RunDir(str(run.run_dir)).stage("boxes").read(BOXES).sort_by("image_id")


def assert_same_boxes(run: Run, expected: Run) -> None:
    found, wanted = boxes_of(run), boxes_of(expected)
    assert found.select(["image_id", "status"]) == wanted.select(["image_id", "status"])
    assert boxes_array(found) == pytest.approx(boxes_array(wanted), abs=0.5, nan_ok=True)


def locator_killed_once(marker: Path) -> Any:
    """A Locator whose process is killed after the first batch of a class, unless `marker` is there."""

    class Killed(Locator.__ray_metadata__.modified_class):  # type: ignore[attr-defined, misc]
        def _reporting(self, *arguments: Any) -> Any:
            accept = super()._reporting(*arguments)

            def accept_and_die(*features: Any) -> None:
                accept(*features)
                if not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGKILL)

            return accept_and_die

    return ray.remote(Killed)


def test_two_actors_of_which_one_is_killed_draw_the_boxes_of_one(
    whole: Run, copy: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copy.run_dir / "boxes")
    marker = tmp_path / "killed"
    monkeypatch.setattr("psol_ray.pipeline.boxes.Locator", locator_killed_once(marker))
    assert copy.psol("boxes", "--cluster.workers", "2") == 0
    assert marker.exists()
    assert_same_boxes(copy, whole)


def locator_killed_by(part_name: str) -> Any:
    class Fragile:
        def __init__(self, *arguments: Any) -> None:
            self.stage, self.made_by, _ = arguments[-3:]

        def locate(self, part: str, images: pa.Table) -> None:
            if part == part_name:
                os.kill(os.getpid(), signal.SIGKILL)
            columns = {field.name: pa.nulls(len(images), field.type) for field in BOXES}
            self.stage.write_part(part, pa.table(columns), self.made_by)

    return ray.remote(Fragile)


def test_a_class_that_kills_its_workers_is_set_aside(
    copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copy.run_dir / "boxes")
    monkeypatch.setattr("psol_ray.pipeline.boxes.Locator", locator_killed_by("part-red"))
    assert copy.psol("boxes") == 2
    (complaint,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("psol boxes: ")]
    assert "1 parts were set aside" in complaint
    assert "(part-red)" in complaint
    assert [path.name for path in (copy.run_dir / "boxes").glob("*.parquet")] == ["part-blue.parquet"]
    assert not (copy.run_dir / "boxes" / "_SUCCESS").exists()


@pytest.mark.slow
def test_goes_on_where_a_killed_driver_left_off(tmp_path: Path, cluster: str) -> None:
    root = write_images(tmp_path / "images", [f"class{i:02d}" for i in range(40)], train=3, val=0)
    shutil.rmtree(root / "val")
    undisturbed = Run(write_config(tmp_path, root), tmp_path / "undisturbed", root)
    assert undisturbed.psol("index") == 0
    killed = Run(undisturbed.config, tmp_path / "killed", root)
    shutil.copytree(undisturbed.run_dir, killed.run_dir)
    assert undisturbed.psol("boxes") == 0

    flags = ["--config", str(killed.config), "--run_dir", str(killed.run_dir), "--cluster.address", cluster]
    driver = subprocess.Popen([sys.executable, "-m", "psol_ray.cli", "boxes", *flags])
    while not (done := list(killed.run_dir.glob("boxes/part-*.parquet"))):
        assert driver.poll() is None
        time.sleep(0.002)
    driver.kill()
    driver.wait()
    assert not (killed.run_dir / "boxes" / "_SUCCESS").exists()
    written = {path: path.stat().st_mtime_ns for path in done}

    assert killed.psol("boxes") == 0
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert_same_boxes(killed, undisturbed)
