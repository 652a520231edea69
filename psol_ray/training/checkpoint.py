"""What a training needs to go on where it stopped, in whatever store keeps its last checkpoint."""

import tempfile
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from psol_ray.errors import UserError
from psol_ray.models.saved import SavedNetwork
from psol_ray.training.curves import Row
from psol_ray.training.trainer import Trainer

__all__ = ["CHECKPOINT_FILE", "CheckpointStore", "TrainState", "restore", "save"]

CHECKPOINT_FILE = "checkpoint.pt"


@dataclass
class TrainState:
    """How far a training is: steps over all epochs, the rows of its curves, and of this epoch's steps the losses and
    how many images were away, or no images."""

    step: int
    rows: list[Row]
    losses: list[float]
    num_away: int = 0
    num_unreadable: int = 0


class CheckpointStore(Protocol):
    """Keeps the last checkpoint of a training: a folder."""

    def last(self) -> AbstractContextManager[Path] | None:
        """The last checkpoint's folder for as long as the block runs; None where there is none."""
        ...

    def save(self, folder: Path | None, metrics: dict[str, Any]) -> None:
        """Keep a copy of the folder instead of the last one. Every rank has to call it, all but the first with None."""
        ...


def restore(store: CheckpointStore, network: SavedNetwork, trainer: Trainer) -> TrainState:
    """Load the last checkpoint into the trainer, if there is one.

    No state of a random number generator is in it: seeds are made from the step's number.

    Raises:
        UserError: it cannot be read, or is of another network.
    """
    last = store.last()
    if last is None:
        return TrainState(0, [], [])
    try:
        with last as folder:
            state = torch.load(folder / CHECKPOINT_FILE, map_location="cpu", weights_only=True)
        saved = state["made_by"]
        if saved == asdict(network):
            trainer.load_state_dict(state["trainer"])
            return TrainState(**state["position"])
    except Exception as error:  # whatever an unpickler, or a state of another make, trips over
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise UserError(f"checkpoint {store}: cannot be read ({reason}); train anew with --overwrite") from None
    raise UserError(
        f"checkpoint {store}: found one of {saved}, expected one of {asdict(network)}; train anew with --overwrite"
    )


def save(store: CheckpointStore, network: SavedNetwork, trainer: Trainer, state: TrainState) -> None:
    """Make a checkpoint; the other ranks call `store.save(None, …)` meanwhile."""
    content = {"made_by": asdict(network), "trainer": trainer.state_dict(), "position": asdict(state)}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(content, Path(folder) / CHECKPOINT_FILE)
        store.save(Path(folder), {"step": state.step, **(state.rows[-1] if state.rows else {})})
