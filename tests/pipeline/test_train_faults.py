"""`psol train` under everything that dies, with any number of workers. The result is that of a quiet run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from ray.cluster_utils import Cluster

from .conftest import HEAD, ON_RAY, Run

# Three steps an epoch, nine in all, and checkpoints also in the middle of an epoch.
FLAGS = ("--classifier.epochs", "3", "--classifier.checkpoint_steps", "2", "--classifier.ema_decay", "0.5")


def stage_of(run: Run) -> Path:
    return run.run_dir / "classifier"


def curve_of(stage: Path) -> list[dict[str, float]]:
    """What does not depend on the clock."""
    path = stage / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [{name: value for name, value in row.items() if name not in ("time", "images_per_s")} for row in rows]


def assert_same_result(run: Run, expected: Run) -> None:
    """The same curve and the same weights, to the last bit."""
    assert curve_of(stage_of(run)) == curve_of(stage_of(expected))
    for name in ("model", "best"):
        mine, theirs = (
            safetensors.torch.load_file(stage_of(which) / f"{name}.safetensors") for which in (run, expected)
        )
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[tensor], theirs[tensor]) for tensor in mine)
    assert not list(stage_of(run).glob("checkpoint_*"))


def fresh_copy(whole: Run, folder: Path) -> Run:
    """A copy of `whole` without a classifier."""
    shutil.copytree(whole.run_dir, folder / "run", ignore=shutil.ignore_patterns("classifier"))
    return Run(whole.config, folder / "run", whole.root)


@pytest.fixture(scope="module")
def quiet(whole: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A training in which nothing went wrong, in this process."""
    run = fresh_copy(whole, tmp_path_factory.mktemp("quiet"))
    assert run.psol("train classifier", *FLAGS) == 0
    return run


def worker_killed_once(marker: Path, at_step: int) -> Callable[[dict[str, Any]], None]:
    """A training loop whose process is killed in that one of its steps, unless `marker` is there."""

    def train(loop_config: dict[str, Any]) -> None:
        from psol_ray.distributed import train_worker
        from psol_ray.training import setup

        class Killed(setup.Trainer):
            num_steps = 0

            # Without an annotation, which would have to be imported where this is unpickled.
            def step(self, batches) -> None:  # type: ignore[no-untyped-def]
                self.num_steps += 1
                if self.num_steps == at_step and not marker.exists():
                    marker.touch()
                    time.sleep(3)  # Ray Train's controller takes a checkpoint in at its next poll
                    os.kill(os.getpid(), signal.SIGKILL)
                super().step(batches)

        setup.Trainer = Killed
        train_worker.train_worker(loop_config)

    return train


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_but_time(
    whole: Run,
    quiet: Run,
    tmp_path: Path,
    cluster: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Twice in mid-epoch. Where no failure is allowed the same command goes on, and where one is, training itself."""
    assert cluster
    run = fresh_copy(whole, tmp_path)
    # After the checkpoint of the fourth step.
    monkeypatch.setattr("psol_ray.distributed.train.train_worker", worker_killed_once(tmp_path / "first", 5))
    assert run.psol("train classifier", *ON_RAY, *FLAGS, "--cluster.max_failures", "0") == 2
    assert (tmp_path / "first").exists()
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("psol train: training failed 1 times")
    assert told.endswith("the same command goes on from the last checkpoint")
    assert not (stage_of(run) / "_SUCCESS").exists()

    checkpoint = max(stage_of(run).glob("checkpoint_2*"))
    checkpoint.rename(tmp_path / "away")
    assert run.psol("train classifier", *ON_RAY, *FLAGS) == 2
    assert "classifier: its last checkpoint is gone; put it back, or train anew" in capsys.readouterr().err
    (tmp_path / "away").rename(checkpoint)

    # It goes on with the fifth of nine steps.
    monkeypatch.setattr("psol_ray.distributed.train.train_worker", worker_killed_once(tmp_path / "second", 4))
    assert run.psol("train classifier", *ON_RAY, *FLAGS, "--cluster.max_failures", "1") == 0
    assert (tmp_path / "second").exists()
    assert capsys.readouterr().err.count("going on from the last checkpoint") == 1
    assert_same_result(run, quiet)


def start_driver(run: Run, address: str, *flags: str, **environment: str) -> subprocess.Popen[str]:
    settings = ["--config", str(run.config), "--run_dir", str(run.run_dir), "--cluster.address", address, *flags]
    command = [sys.executable, "-m", "psol_ray.cli", "train", *settings, "classifier"]
    return subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)


def wait_for_rows(run: Run, number: int, driver: subprocess.Popen[str]) -> None:
    """Until so many epochs are on disk, with a checkpoint that Ray Train has taken in."""
    taken_in = stage_of(run) / "checkpoint_manager_snapshot.json"
    while len(curve_of(stage_of(run))) < number or not taken_in.exists():
        assert driver.poll() is None
        time.sleep(0.01)


@pytest.mark.slow
def test_a_driver_that_is_told_to_end_or_killed_costs_nothing_but_time(
    whole: Run, quiet: Run, tmp_path: Path, cluster: str
) -> None:
    run = fresh_copy(whole, tmp_path)
    driver = start_driver(run, cluster, *FLAGS)
    wait_for_rows(run, 1, driver)
    driver.terminate()
    _, told = driver.communicate(timeout=120)
    assert driver.returncode == 130
    assert told.endswith("psol train: interrupted; the same command goes on from here\n")

    driver = start_driver(run, cluster, *FLAGS)
    wait_for_rows(run, 2, driver)
    driver.kill()
    driver.communicate()
    assert not (stage_of(run) / "_SUCCESS").exists()
    assert run.psol("train classifier", *ON_RAY, *FLAGS) == 0
    assert_same_result(run, quiet)


def count_workers(cluster: Cluster) -> int:
    """Ray Train's workers that are alive on this cluster, and on no other of this machine."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if (folder / "cmdline").read_bytes().startswith(b"ray::RayTrainWorker"):
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                count += cluster.address.encode() in Path(f"/proc/{parent}/cmdline").read_bytes()
    return count


@pytest.fixture
def two_machines() -> Iterator[tuple[Cluster, Any]]:
    """A cluster of two simulated machines of two CPUs, and one of them."""
    cluster = Cluster(initialize_head=True, connect=False, head_node_args=HEAD)
    cluster.add_node(num_cpus=2)
    lost = cluster.add_node(num_cpus=2)
    yield cluster, lost
    cluster.shutdown()


@pytest.mark.slow
def test_any_number_of_workers_follows_the_same_loss_also_where_a_machine_is_lost(
    whole: Run, tmp_path: Path, two_machines: tuple[Cluster, Any]
) -> None:
    """Four workers, of which two go on alone, against one."""
    cluster, lost = two_machines
    # Without batch normalisation, whose means are those of one worker's images. Of six images, four workers have no
    # equal shares.
    flags = ("--classifier.backbone", "test_vit", "--classifier.epochs", "12", "--classifier.batch_size", "6")
    alone = fresh_copy(whole, tmp_path / "alone")
    assert alone.psol("train classifier", *flags) == 0

    run = fresh_copy(whole, tmp_path / "elastic")
    driver = start_driver(
        run,
        cluster.address,
        *flags,
        *("--cluster.workers", "4", "--cluster.min_workers", "2"),
        RAY_TRAIN_ENABLE_PREEMPTION_WATCHER="1",
        # Ray Train waits a minute for a machine of which it has not yet found that it is gone.
        RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S="5",
    )
    wait_for_rows(run, 2, driver)
    assert count_workers(cluster) == 4
    cluster.remove_node(lost, allow_graceful=False)
    assert 2 <= len(curve_of(stage_of(run))) < 12
    _, told = driver.communicate(timeout=500)
    assert driver.returncode == 0, told

    curve, expected = curve_of(stage_of(run)), curve_of(stage_of(alone))
    assert [row["epoch"] for row in curve] == list(range(1, 13))
    assert [row["loss"] for row in curve] == pytest.approx([row["loss"] for row in expected], rel=1e-4)
