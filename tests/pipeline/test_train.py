"""`psol train` through mistakes, and a driver that dies."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from psol_ray.tables import PREDICTIONS, RunDir
from psol_ray.training import SavedNetwork

from .conftest import Run


def rows_of(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_refuses_a_batch_that_its_workers_cannot_share(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(copy.run_dir / "localizer")
    assert copy.psol("train localizer", "--localizer.batch_size", "5", "--cluster.workers", "2") == 2
    assert "localizer.batch_size: 5 cannot be shared by 2 workers" in capsys.readouterr().err


@pytest.mark.slow
def test_one_network_for_both_is_trained_and_predicts_alone(copy: Run) -> None:
    small = {"backbone": "test_efficientnet", "weights": "random", "input_size": "64", "batch_size": "4", "epochs": "1"}
    flags = [word for name, value in small.items() for word in (f"--joint.{name}", value)]
    for stage in ("localizer", "classifier", "predictions"):
        shutil.rmtree(copy.run_dir / stage)
    assert copy.psol("train joint", *flags) == 0
    assert copy.psol("predict", *flags, "--predict.models", "joint") == 0
    predictions = RunDir(str(copy.run_dir)).stage("predictions").read(PREDICTIONS)
    assert len(predictions) == 6
    read = [labels for labels in predictions.column("top_labels").to_pylist() if labels]
    assert len(read) == 5  # one image cannot be read
    assert all(sorted(labels) == [0, 1] for labels in read)


@pytest.mark.slow
def test_a_loss_that_diverges_is_told_in_a_sentence_and_not_tried_again(
    copy: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copy.run_dir / "classifier")
    flags = ("--classifier.learning_rate", "1e30", "--classifier.epochs", "5")
    assert copy.psol("train classifier", *flags) == 2
    told = capsys.readouterr().err
    assert "not a finite number, at learning_rate 1e+30; lower it" in told.splitlines()[-1]
    assert "going on from the last checkpoint" not in told


def worker_killed_once(marker: Path) -> Callable[[dict[str, Any]], None]:
    """A training loop whose process is killed after its first checkpoint, unless `marker` is there."""

    def train(loop_config: dict[str, Any]) -> None:
        from psol_ray.distributed import train_worker

        save = train_worker._save

        def save_and_die(*arguments: Any) -> None:
            save(*arguments)
            if not marker.exists():
                marker.write_text(loop_config["task"].stage.read_text("metrics.jsonl"))
                time.sleep(3)  # Ray Train's controller takes a checkpoint in at its next poll
                os.kill(os.getpid(), signal.SIGKILL)

        train_worker._save = save_and_die
        train_worker.train_worker(loop_config)

    return train


@pytest.mark.slow
def test_goes_on_from_the_checkpoint_of_a_killed_worker(
    copy: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copy.run_dir / "classifier")
    marker = tmp_path / "killed"
    monkeypatch.setattr("psol_ray.distributed.train.train_worker", worker_killed_once(marker))
    assert copy.psol("train classifier", "--classifier.epochs", "3") == 0
    assert capsys.readouterr().err.count("going on from the last checkpoint") == 1
    rows = rows_of(copy.run_dir / "classifier" / "metrics.jsonl")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[:1] == rows_of(marker)


@pytest.mark.slow
def test_goes_on_from_the_checkpoint_of_a_killed_driver(copy: Run, cluster: str) -> None:
    shutil.rmtree(copy.run_dir / "classifier")
    epochs = 6
    flags = ["--config", str(copy.config), "--run_dir", str(copy.run_dir), "--classifier.epochs", str(epochs)]
    command = [sys.executable, "-m", "psol_ray.cli", "train", *flags, "--cluster.address", cluster, "classifier"]
    driver = subprocess.Popen(command)
    history = copy.run_dir / "classifier" / "metrics.jsonl"
    taken_in = copy.run_dir / "classifier" / "checkpoint_manager_snapshot.json"
    while len(rows_of(history)) < 3 or not taken_in.exists():
        assert driver.poll() is None
        time.sleep(0.01)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    before = rows_of(history)
    assert len(before) < epochs

    assert copy.psol("train classifier", "--classifier.epochs", str(epochs)) == 0
    after = rows_of(history)
    assert [row["epoch"] for row in after] == list(range(1, epochs + 1))
    # Rows hold a measured rate: one that is still the same was not trained again.
    assert after[0] == before[0]
    saved, _ = SavedNetwork.from_bytes((copy.run_dir / "classifier" / "model.safetensors").read_bytes())
    assert saved.num_classes == 2
