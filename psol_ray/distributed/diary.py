"""What the first worker tells while it trains: progress, curves, and which epoch was the best."""

import time
from contextlib import suppress

from psol_ray.distributed.checkpoint import Position
from psol_ray.distributed.train_setup import TrainingTask
from psol_ray.errors import UserError
from psol_ray.training.curves import Row, events_file, to_events, to_lines

__all__ = ["HISTORY_FILE", "Diary", "best_score"]

HISTORY_FILE = "metrics.jsonl"

_STEPS_A_ROW = 50
_SECONDS_BETWEEN_WRITES = 30.0


class Diary:
    """Keeps the rows of a `Position`: one every 50 steps and one at the end of each epoch."""

    def __init__(self, task: TrainingTask, position: Position, steps_an_epoch: int) -> None:
        self._task, self._position, self._steps_an_epoch = task, position, steps_an_epoch
        self._first_step = self._step_written = position.step
        self._recent = _since_last_row(position)
        self._learning_rate = 0.0
        self._clock = _Clock()
        self._row_began = self._epoch_began = (position.step, 0.0)
        self._time_written = time.monotonic()
        task.board.resume.remote(position.step * task.config.batch_size)

    def note(self, losses: list[float], learning_rate: float) -> None:
        """These are the losses of the last steps."""
        self._clock.tick()
        self._recent += losses
        self._learning_rate = learning_rate
        step, steps_an_epoch = self._position.step, self._steps_an_epoch
        note = f"epoch {-(-step // steps_an_epoch)}/{self._task.config.epochs} loss {losses[-1]:.3f}"
        self._task.board.set.remote("training", (step - self._first_step) * self._task.config.batch_size, note)
        if len(self._recent) >= _STEPS_A_ROW and step % steps_an_epoch:
            self._add({"step_loss": _mean(self._recent)}, self._row_began)
        if time.monotonic() - self._time_written > _SECONDS_BETWEEN_WRITES:
            with suppress(UserError):  # a storage that fails now is no reason to stop: a checkpoint is
                self._write_lines()

    def end_epoch(self, scores: dict[str, float]) -> bool:
        """Close an epoch with what validation found; returns whether it was the best so far."""
        best = best_score(self._position.rows)
        self._add({"loss": _mean(self._position.losses), **scores}, self._epoch_began)
        self._epoch_began = self._row_began
        found = best_score(self._position.rows[-1:])
        return found is not None and (best is None or found > best)

    def write(self) -> None:
        """Write the curves, those since the last call as a file for TensorBoard."""
        self._write_lines()
        rows = [row for row in self._position.rows if row["step"] > self._step_written]
        if rows:
            # A step's file has the same rows whenever it is written: a run that was interrupted shows no step twice.
            self._task.stage.write_bytes(events_file(self._position.step), to_events(rows))
        self._step_written = self._position.step

    def go_on(self) -> None:
        """Training goes on; what was done since the last losses was not training."""
        self._clock.skip()

    def _write_lines(self) -> None:
        self._time_written = time.monotonic()
        self._task.stage.write_bytes(HISTORY_FILE, to_lines(self._position.rows))

    def _add(self, found: dict[str, float], began: tuple[int, float]) -> None:
        step = self._position.step
        row: Row = {
            "step": step,
            "epoch": step // self._steps_an_epoch if step % self._steps_an_epoch == 0 else step / self._steps_an_epoch,
            "time": time.time(),
            "learning_rate": self._learning_rate,
            "images_per_s": (step - began[0]) * self._task.config.batch_size / (self._clock.seconds - began[1]),
            **found,
        }
        self._position.rows.append(row)
        self._recent = []
        self._row_began = (step, self._clock.seconds)


def _since_last_row(position: Position) -> list[float]:
    """Losses that no row tells of yet."""
    last_row = int(position.rows[-1]["step"]) if position.rows else 0
    return position.losses[-(position.step - last_row) :] if position.step > last_row else []


def _mean(losses: list[float]) -> float:
    return sum(losses) / len(losses)


class _Clock:
    """Seconds spent training."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._mark = time.monotonic()

    def tick(self) -> None:
        """The time since the last call was spent training."""
        now = time.monotonic()
        self.seconds, self._mark = self.seconds + now - self._mark, now

    def skip(self) -> None:
        """It was not."""
        self._mark = time.monotonic()


def best_score(rows: list[Row]) -> float | None:
    """The highest GT-Known of these rows, or top-1 of a network without boxes; None where nothing was validated."""
    scores = [row.get("gt_known", row.get("top1")) for row in rows]
    return max((score for score in scores if score is not None), default=None)
