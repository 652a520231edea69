"""A training's worker as Ray Train runs it."""

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
from ray.train import Checkpoint

from psol_ray.distributed.node_checks import UnfitNode
from psol_ray.distributed.progress import RemoteTracker
from psol_ray.log import say, speak_of
from psol_ray.training.loop import train
from psol_ray.training.setup import Rank
from psol_ray.work.counters import WAITS

__all__ = ["RayCheckpoints", "train_worker"]


class RayCheckpoints:
    """Checkpoints in Ray Train's storage."""

    def last(self) -> AbstractContextManager[Path] | None:
        """See `CheckpointStore.last`."""
        checkpoint = ray.train.get_checkpoint()
        return None if checkpoint is None else _folder_of(checkpoint)

    def save(self, folder: Path | None, metrics: dict[str, Any]) -> None:
        """See `CheckpointStore.save`: every rank has to report, because Ray Train waits for all of them."""
        ray.train.report(metrics, checkpoint=None if folder is None else Checkpoint.from_directory(folder))

    def __str__(self) -> str:
        checkpoint = ray.train.get_checkpoint()
        return "of this training" if checkpoint is None else checkpoint.path


class _WithWaits(RemoteTracker):
    """Tells with each report how long this worker has waited for images, and images for it."""

    def update(self, job: str, images: int, note: str = "") -> None:
        """See `ProgressTracker.update`."""
        super().update(job, images, note)
        self.add_waits(WAITS.take())


@contextmanager
def _folder_of(checkpoint: Checkpoint) -> Iterator[Path]:
    with checkpoint.as_directory() as folder:
        yield Path(folder)


def train_worker(loop_config: dict[str, Any]) -> None:
    """Runs on every worker.

    `loop_config` holds `setup`, a reference to a `TrainingSetup`, `num_cpus`, `progress`, a `RemoteTracker`, `probe`, a
    `Probe` or None, and `subject`, what the log is to say.

    Raises:
        UnfitNode: this machine, which may have joined late, does not see the run's directory or its images.
    """
    if (probe := loop_config["probe"]) and (fault := probe.find_fault()):
        raise UnfitNode(ray.get_runtime_context().get_node_id(), socket.gethostname(), fault)
    context = ray.train.get_context()
    # Not `cuda:0`: unlike an actor, a worker of Ray Train sees all GPUs that its machine lends to the run.
    device = ray.train.torch.get_device()
    rank = Rank(context.get_world_rank(), context.get_world_size(), device, loop_config["num_cpus"])
    speak_of(replace(loop_config["subject"], who=f"rank {rank.rank} of {rank.world_size}"))
    say(f"training begins on {device} with {rank.num_cpus} CPUs")
    wrap = partial(ray.train.torch.prepare_model, move_to_device=False)
    train(ray.get(loop_config["setup"]), rank, RayCheckpoints(), _WithWaits(loop_config["progress"].actor), wrap)
    say("training ended")
