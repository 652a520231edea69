"""Curves: which rows there are, and that a resumed training has those of one that was not interrupted."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic.training import make_setup

from psol_ray.errors import UserError
from psol_ray.training import metrics_log
from psol_ray.training.checkpoint import TrainState
from psol_ray.training.metrics_log import MetricsLogger, best_score
from psol_ray.training.setup import TrainingSetup
from psol_ray.work.progress import ProgressTracker

STEPS_PER_EPOCH = 120


@pytest.fixture
def setup(tmp_path: Path) -> TrainingSetup:
    return make_setup(tmp_path, number=1)


def make_logger(
    setup: TrainingSetup, state: TrainState, steps_per_epoch: int = STEPS_PER_EPOCH, progress: Any = None
) -> MetricsLogger:
    return MetricsLogger(setup, state, steps_per_epoch, progress or ProgressTracker())


def train(logger: MetricsLogger, state: TrainState, last: int) -> None:
    """Steps whose losses are their numbers, logged ten at a time, with a score after each epoch."""
    while state.step < last:
        state.step += 10
        losses = [float(step) for step in range(state.step - 9, state.step + 1)]
        state.losses += losses
        logger.log_steps(losses, 0.1)
        if state.step % STEPS_PER_EPOCH == 0:
            logger.end_epoch({"gt_known": state.step / 1000})
            state.losses.clear()


def without_times(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name not in ("time", "images_per_s")} for row in rows]


def test_a_row_every_fifty_steps_and_one_an_epoch(setup: TrainingSetup) -> None:
    state = TrainState(0, [], [])
    train(make_logger(setup, state), state, 240)
    assert [row["step"] for row in state.rows] == [50, 100, 120, 170, 220, 240]
    assert [row.get("step_loss") for row in state.rows] == [25.5, 75.5, None, 145.5, 195.5, None]
    assert [row.get("loss") for row in state.rows] == [None, None, 60.5, None, None, 180.5]
    assert [row["epoch"] for row in state.rows] == pytest.approx([50 / 120, 100 / 120, 1, 170 / 120, 220 / 120, 2])
    assert {row["learning_rate"] for row in state.rows} == {0.1}
    assert best_score(state.rows) == 0.24


@pytest.mark.parametrize("interrupted_at", [30, 50, 80, 120, 130, 200])
def test_a_resumed_training_has_the_same_rows(setup: TrainingSetup, interrupted_at: int) -> None:
    whole = TrainState(0, [], [])
    train(make_logger(setup, whole), whole, 240)
    state = TrainState(0, [], [])
    train(make_logger(setup, state), state, interrupted_at)
    progress = ProgressTracker()
    train(make_logger(setup, state, progress=progress), state, 240)
    assert without_times(state.rows) == without_times(whole.rows)
    # Images: four a step, those before the interruption told apart.
    assert progress.snapshot() == (240 * 4, interrupted_at * 4, "epoch 2/2 loss 240.000")


def test_only_a_better_epoch_is_the_best(setup: TrainingSetup) -> None:
    state = TrainState(0, [], [])
    logger = make_logger(setup, state, 10)
    found = []
    for score in (0.5, 0.4, 0.5, 0.6):
        state.step += 10
        state.losses[:] = [1.0] * 10
        logger.log_steps(state.losses[:], 0.1)
        found.append(logger.end_epoch({"gt_known": score, "top1": 1 - score}))
    assert found == [True, False, False, True]


def test_without_a_score_no_epoch_is_the_best(setup: TrainingSetup) -> None:
    state = TrainState(10, [], [1.0] * 10)
    logger = make_logger(setup, state, 10)
    logger.log_steps([1.0], 0.1)
    assert not logger.end_epoch({})
    assert best_score(state.rows) is None


def test_each_event_file_has_the_rows_since_the_last(setup: TrainingSetup) -> None:
    state = TrainState(0, [], [])
    logger = make_logger(setup, state)
    for last in (60, 70, 240):
        train(logger, state, last)
        logger.flush()
    stage = Path(setup.stage.path)
    files = sorted((stage / "tensorboard").iterdir())
    assert [int(path.name.split(".")[3]) for path in files] == [60, 240]  # there is no row between 60 and 70
    assert b"gt_known" not in files[0].read_bytes()
    assert b"gt_known" in files[1].read_bytes()
    assert [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()] == state.rows


def test_time_that_training_stood_still_does_not_count_for_its_rate(
    setup: TrainingSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(metrics_log.time, "monotonic", lambda: now)
    state = TrainState(0, [], [])
    logger = make_logger(setup, state)
    for step in range(10, 60, 10):
        now += 2  # ten steps of four images: 20 a second
        train(logger, state, step)
        now += 7  # a checkpoint is written
        logger.resume()
    assert [row["images_per_s"] for row in state.rows] == [20.0]


def test_storage_that_fails_between_checkpoints_stops_nothing(
    setup: TrainingSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_log, "_SECONDS_BETWEEN_WRITES", -1.0)
    (tmp_path / "file").touch()
    state = TrainState(0, [], [])
    # No folder can be made where a file is.
    logger = make_logger(replace(setup, stage=replace(setup.stage, path=str(tmp_path / "file/joint"))), state)
    train(logger, state, 60)
    with pytest.raises(UserError, match=r"metrics.jsonl cannot be written"):
        logger.flush()
