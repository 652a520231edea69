"""Logs a training, for its first worker: progress, curves, and which epoch was the best."""

import time
from contextlib import suppress
from typing import Protocol

from psol_ray.errors import UserError
from psol_ray.tables.file_names import HISTORY_FILE
from psol_ray.training.checkpoint import TrainState
from psol_ray.training.curves import Row, events_file, to_events, to_lines
from psol_ray.training.setup import TrainingSetup
from psol_ray.training.workers import num_workers

__all__ = ["MetricsLogger", "Progress", "best_score"]

_STEPS_PER_ROW = 50
_SECONDS_BETWEEN_WRITES = 30.0


class Progress(Protocol):
    """Takes how far the training is: a `ProgressTracker`, here or elsewhere."""

    def reset(self, earlier: int) -> None: ...

    def update(self, job: str, images: int, note: str = "") -> None: ...


class MetricsLogger:
    """Keeps the rows of a `TrainState`: one every 50 steps and one at the end of each epoch."""

    def __init__(self, setup: TrainingSetup, state: TrainState, steps_per_epoch: int, progress: Progress) -> None:
        self._setup, self._state, self._steps_per_epoch = setup, state, steps_per_epoch
        self._progress = progress
        self._first_step = self._step_written = state.step
        self._recent = _since_last_row(state)
        self._learning_rate = 0.0
        self._clock = _Clock()
        self._row_began = self._epoch_began = (state.step, 0.0)
        self._time_written = time.monotonic()
        progress.reset(state.step * setup.config.batch_size)

    def log_steps(self, losses: list[float], learning_rate: float) -> None:
        """Take in the losses of the last steps."""
        self._clock.tick()
        self._recent += losses
        self._learning_rate = learning_rate
        step, steps_per_epoch = self._state.step, self._steps_per_epoch
        note = f"epoch {-(-step // steps_per_epoch)}/{self._setup.config.epochs} loss {losses[-1]:.3f}"
        self._progress.update("training", (step - self._first_step) * self._setup.config.batch_size, note)
        if len(self._recent) >= _STEPS_PER_ROW and step % steps_per_epoch:
            self._add({"step_loss": _mean(self._recent)}, self._row_began)
        if time.monotonic() - self._time_written > _SECONDS_BETWEEN_WRITES:
            with suppress(UserError):  # a storage that fails now is no reason to stop: a checkpoint is
                self._write_lines()

    def end_epoch(self, scores: dict[str, float]) -> bool:
        """Close an epoch with validation's scores; returns whether it was the best so far."""
        best = best_score(self._state.rows)
        self._add({"loss": _mean(self._state.losses), **scores}, self._epoch_began)
        self._epoch_began = self._row_began
        score = best_score(self._state.rows[-1:])
        return score is not None and (best is None or score > best)

    def flush(self) -> None:
        """Write the curves, those since the last call as a file for TensorBoard."""
        self._write_lines()
        rows = [row for row in self._state.rows if row["step"] > self._step_written]
        if rows:
            # A step's file has the same rows whenever it is written: a run that was interrupted shows no step twice.
            self._setup.stage.write_bytes(events_file(self._state.step), to_events(rows))
        self._step_written = self._state.step

    def resume(self) -> None:
        """Training goes on; the time since the last losses does not count for its rate."""
        self._clock.pause()

    def _write_lines(self) -> None:
        self._time_written = time.monotonic()
        self._setup.stage.write_bytes(HISTORY_FILE, to_lines(self._state.rows))

    def _add(self, metrics: dict[str, float], began: tuple[int, float]) -> None:
        step, steps_per_epoch = self._state.step, self._steps_per_epoch
        row: Row = {
            "step": step,
            "epoch": step // steps_per_epoch if step % steps_per_epoch == 0 else step / steps_per_epoch,
            "time": time.time(),
            "learning_rate": self._learning_rate,
            "images_per_s": (step - began[0]) * self._setup.config.batch_size / (self._clock.seconds - began[1]),
            "workers": num_workers(),
            **metrics,
        }
        self._state.rows.append(row)
        self._recent = []
        self._row_began = (step, self._clock.seconds)


def _since_last_row(state: TrainState) -> list[float]:
    """Losses that no row tells of yet."""
    last_row = int(state.rows[-1]["step"]) if state.rows else 0
    return state.losses[-(state.step - last_row) :] if state.step > last_row else []


def _mean(losses: list[float]) -> float:
    return sum(losses) / len(losses)


class _Clock:
    """Seconds spent training."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._mark = time.monotonic()

    def tick(self) -> None:
        """Count the time since the last call."""
        now = time.monotonic()
        self.seconds, self._mark = self.seconds + now - self._mark, now

    def pause(self) -> None:
        """The time since the last call was spent on something else."""
        self._mark = time.monotonic()


def best_score(rows: list[Row]) -> float | None:
    """The highest GT-Known of these rows, or top-1 of a network without boxes; None where nothing was validated."""
    scores = [row.get("gt_known", row.get("top1")) for row in rows]
    return max((score for score in scores if score is not None), default=None)
