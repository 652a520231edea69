"""One run of the whole pipeline, which the tests of its commands start from."""

import os
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from synthetic.configs import write_config
from synthetic.images import cut_short, write_images

from psol_ray.cli import main
from psol_ray.cli.parse import parse
from psol_ray.pipeline.context import Context
from psol_ray.tables import BOXES, RunDir
from psol_ray.work.jobs import Parts, Task

HEAD = {
    "num_cpus": 0,
    "include_dashboard": False,
    # A node that is gone is found to be in seconds, and not in half a minute.
    "_system_config": {"health_check_period_ms": 1000, "health_check_failure_threshold": 3},
}
"""How a head is started that works on nothing itself."""

ON_RAY = ("--cluster.address", "null")
"""Flags of a command that is to run on the session's cluster, and not in this process."""


@dataclass(frozen=True)
class Run:
    """A run directory with its configuration and its images."""

    config: Path
    run_dir: Path
    root: Path

    def psol(self, command: str, *flags: str) -> int:
        """Run `psol COMMAND` on it."""
        first, *model = command.split()
        return main([first, "--config", str(self.config), "--run_dir", str(self.run_dir), *flags, *model])


def context_of(run: Run) -> Context:
    """What a command on it is given."""
    config = parse(["run", "--config", str(run.config), "--run_dir", str(run.run_dir)]).config
    assert config is not None
    return Context(config)


def boxes_of(run: Run) -> pa.Table:
    """Its boxes table, ordered by image."""
    return RunDir(str(run.run_dir)).stage("boxes").read(BOXES).sort_by("image_id")


def assert_same_boxes(run: Run, expected: Run) -> None:
    """Row for row, to the last digit, no image lost and none there twice."""
    # As text, which takes NaN for NaN.
    assert repr(boxes_of(run).to_pydict()) == repr(boxes_of(expected).to_pydict())


def worker_killed_once(worker: Any, marker: Path) -> Any:
    """A class of workers whose process is killed after the first batch of a part, unless `marker` is there."""

    class Killed(worker):
        def process(self, task: Task) -> Parts:
            def report_and_die(done: int) -> None:
                task.progress(done)
                if not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGKILL)

            return super().process(replace(task, progress=report_and_die))

    return Killed


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`psol run` on 18 images of two classes, two of which cannot be read; do not change it."""
    folder = tmp_path_factory.mktemp("whole")
    root = write_images(folder / "images", ["red", "blue"])
    cut_short(root / "train/red/1.jpg", root / "val/blue/2.jpg")
    run = Run(write_config(folder, root), folder / "run", root)
    assert run.psol("run") == 0
    return run


@pytest.fixture
def copy(whole: Run, tmp_path: Path) -> Run:
    """A copy of `whole` that a test may change."""
    shutil.copytree(whole.run_dir, tmp_path / "run")
    return Run(whole.config, tmp_path / "run", whole.root)
