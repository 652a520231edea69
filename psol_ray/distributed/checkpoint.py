"""What a training needs to go on where it stopped, in Ray Train's storage."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import ray.train
import torch
from ray.train import Checkpoint

from psol_ray.errors import UserError
from psol_ray.models.saved import SavedNetwork
from psol_ray.training.curves import Row
from psol_ray.training.loop import Trainer

__all__ = ["Position", "restore", "save"]

_FILE = "checkpoint.pt"


@dataclass
class Position:
    """How far a training is: steps over all epochs, the rows of its curves, and the losses of this epoch's steps."""

    step: int
    rows: list[Row]
    losses: list[float]


def restore(network: SavedNetwork, trainer: Trainer) -> Position:
    """Load the last checkpoint into the trainer, if there is one.

    No state of a random number generator is in it: seeds are made from the step's number.

    Raises:
        UserError: it cannot be read, or is of another network.
    """
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return Position(0, [], [])
    try:
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder) / _FILE, map_location="cpu", weights_only=True)
        found = state["made_by"]
        if found == asdict(network):
            trainer.load_state_dict(state["trainer"])
            return Position(**state["position"])
    except Exception as error:  # whatever an unpickler, or a state of another make, trips over
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise UserError(
            f"checkpoint {checkpoint.path}: cannot be read ({reason}); train anew with --overwrite"
        ) from None
    raise UserError(
        f"checkpoint {checkpoint.path}: found one of {found}, expected one of {asdict(network)};"
        " train anew with --overwrite"
    )


def save(network: SavedNetwork, trainer: Trainer, position: Position) -> None:
    """Make a checkpoint, and have every other rank call `ray.train.report` as well: Ray Train waits for all."""
    state = {"made_by": asdict(network), "trainer": trainer.state_dict(), "position": asdict(position)}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, Path(folder) / _FILE)
        ray.train.report(_metrics(position), checkpoint=Checkpoint.from_directory(folder))


def _metrics(position: Position) -> dict[str, float]:
    return {"step": position.step, **(position.rows[-1] if position.rows else {})}
