"""Curves: which rows there are, and that a resumed training has those of one that was not interrupted."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from psol_ray.distributed.checkpoint import Position
from psol_ray.distributed.diary import Diary, best_score
from psol_ray.errors import UserError
from psol_ray.tables import RunDir

STEPS_AN_EPOCH = 120


class Told:
    """A remote method that remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def remote(self, *arguments: Any) -> None:
        self.calls.append(arguments)


def make_task(root: Path) -> Any:
    return SimpleNamespace(
        board=SimpleNamespace(resume=Told(), set=Told()),
        config=SimpleNamespace(batch_size=4, epochs=2),
        stage=RunDir(str(root)).stage("localizer"),
    )


def train(diary: Diary, position: Position, last: int) -> None:
    """Steps whose losses are their numbers, told ten at a time, with a score after each epoch."""
    while position.step < last:
        position.step += 10
        losses = [float(step) for step in range(position.step - 9, position.step + 1)]
        position.losses += losses
        diary.note(losses, 0.1)
        if position.step % STEPS_AN_EPOCH == 0:
            diary.end_epoch({"gt_known": position.step / 1000})
            position.losses.clear()


def clockless(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name not in ("time", "images_per_s")} for row in rows]


def test_a_row_every_fifty_steps_and_one_an_epoch(tmp_path: Path) -> None:
    position = Position(0, [], [])
    train(Diary(make_task(tmp_path), position, STEPS_AN_EPOCH), position, 240)
    assert [row["step"] for row in position.rows] == [50, 100, 120, 170, 220, 240]
    assert [row.get("step_loss") for row in position.rows] == [25.5, 75.5, None, 145.5, 195.5, None]
    assert [row.get("loss") for row in position.rows] == [None, None, 60.5, None, None, 180.5]
    assert [row["epoch"] for row in position.rows] == pytest.approx([50 / 120, 100 / 120, 1, 170 / 120, 220 / 120, 2])
    assert best_score(position.rows) == 0.24


@pytest.mark.parametrize("interrupted_at", [30, 50, 80, 120, 130, 200])
def test_a_resumed_training_has_the_same_rows(tmp_path: Path, interrupted_at: int) -> None:
    whole = Position(0, [], [])
    train(Diary(make_task(tmp_path), whole, STEPS_AN_EPOCH), whole, 240)
    position = Position(0, [], [])
    train(Diary(make_task(tmp_path), position, STEPS_AN_EPOCH), position, interrupted_at)
    task = make_task(tmp_path)
    train(Diary(task, position, STEPS_AN_EPOCH), position, 240)
    assert clockless(position.rows) == clockless(whole.rows)
    assert task.board.resume.calls == [(interrupted_at * 4,)]
    assert task.board.set.calls[-1][1] == (240 - interrupted_at) * 4


def test_only_a_better_epoch_is_the_best(tmp_path: Path) -> None:
    position = Position(0, [], [])
    diary = Diary(make_task(tmp_path), position, 10)
    found = []
    for score in (0.5, 0.4, 0.5, 0.6):
        position.step += 10
        position.losses[:] = [1.0] * 10
        diary.note(position.losses[:], 0.1)
        found.append(diary.end_epoch({"gt_known": score, "top1": 1 - score}))
    assert found == [True, False, False, True]


def test_without_a_score_no_epoch_is_the_best(tmp_path: Path) -> None:
    position = Position(10, [], [1.0] * 10)
    diary = Diary(make_task(tmp_path), position, 10)
    diary.note([1.0], 0.1)
    assert not diary.end_epoch({})
    assert best_score(position.rows) is None


def test_each_event_file_has_the_rows_since_the_last(tmp_path: Path) -> None:
    position = Position(0, [], [])
    diary = Diary(make_task(tmp_path), position, STEPS_AN_EPOCH)
    for last in (60, 70, 240):
        train(diary, position, last)
        diary.write()
    stage = tmp_path / "localizer"
    files = sorted((stage / "tensorboard").iterdir())
    assert [int(path.name.split(".")[3]) for path in files] == [60, 240]  # there is no row between 60 and 70
    assert b"gt_known" not in files[0].read_bytes()
    assert b"gt_known" in files[1].read_bytes()
    assert [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()] == position.rows


def test_storage_that_fails_between_checkpoints_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psol_ray.distributed.diary._SECONDS_BETWEEN_WRITES", -1.0)
    task = make_task(tmp_path)

    def refuse(*_: Any) -> None:
        raise UserError("no space left")

    task.stage = SimpleNamespace(write_bytes=refuse)
    position = Position(0, [], [])
    diary = Diary(task, position, STEPS_AN_EPOCH)
    train(diary, position, 60)
    with pytest.raises(UserError, match="no space left"):
        diary.write()
