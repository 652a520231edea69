"""A training's curves: rows of numbers, as lines of JSON and as events for TensorBoard."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tensorboardX import SummaryWriter

__all__ = ["Row", "events_file", "to_events", "to_lines"]

Row = dict[str, float]
"""`step` and `epoch` done, `time` (Unix), and what was measured there."""

_PLACES = ("step", "epoch", "time")


def to_lines(rows: Sequence[Row]) -> bytes:
    """A line of JSON a row."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def events_file(step: int) -> str:
    """Name of the event file whose last row is of this step. TensorBoard reads them in the order of their names."""
    return f"tensorboard/events.out.tfevents.{step:012d}.psol"


def to_events(rows: Sequence[Row]) -> bytes:
    """A TensorBoard event file of all numbers over steps."""
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            for row in rows:
                for name, value in row.items():
                    if name not in _PLACES:
                        writer.add_scalar(name, value, int(row["step"]), walltime=row["time"])
        (path,) = Path(folder).iterdir()
        return path.read_bytes()
