"""Training by Ray Train, seen from a worker: DDP, a checkpoint an epoch, and the rest of the run from the last one."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train.torch
import torch
from ray.train import Checkpoint

from psol_ray.config import TrainConfig
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.device import autocast
from psol_ray.images import make_decoder
from psol_ray.models import PsolNetwork
from psol_ray.tables import StageDir
from psol_ray.training import SavedNetwork, Trainer, TrainingLoader

__all__ = ["HISTORY_FILE", "MODEL_FILE", "TrainingTask", "train_worker"]

_CHECKPOINT = "checkpoint.pt"

MODEL_FILE = "model.safetensors"
HISTORY_FILE = "metrics.jsonl"

History = list[dict[str, float]]


@dataclass(frozen=True)
class TrainingTask:
    """What every worker is told. `samples` and `pretrained` are references into the object store."""

    config: TrainConfig
    saved: SavedNetwork
    samples: Any
    pretrained: Any
    data_root: str
    seed: int
    plan: WorkerPlan
    stage: StageDir
    board: Any


def train_worker(loop_config: dict[str, Any]) -> None:
    """Runs on every worker; `loop_config["task"]` is a `TrainingTask`."""
    task: TrainingTask = loop_config["task"]
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    torch.set_num_threads(task.plan.num_cpus)
    # Not `cuda:0`: unlike an actor, a worker of Ray Train sees all GPUs that its machine lends to the run.
    device = ray.train.torch.get_device()
    torch.manual_seed(task.seed)
    network = task.saved.build(ray.get(task.pretrained)).to(device)
    wrapped = ray.train.torch.prepare_model(network, move_to_device=False)
    precision = partial(autocast, device, task.config.precision, training=True)
    trainer = Trainer(wrapped, network.heads(), task.config, precision)
    loader = _make_loader(task, device, rank, world_size)
    history = _restore(network, trainer)
    if rank == 0:
        task.board.resume.remote(len(history) * loader.steps * task.config.batch_size)
    for epoch in range(len(history), task.config.epochs):
        _seed_epoch(task.seed, epoch, rank)
        started = time.monotonic()
        loss = trainer.train_epoch(loader.epoch(epoch), _reporter(task, epoch, rank))
        rate = loader.steps * task.config.batch_size / (time.monotonic() - started)
        history.append({"epoch": epoch + 1, "loss": loss, "images_per_s": rate})
        _save(task, network, trainer, history, rank)
    if rank == 0:
        task.stage.write_bytes(MODEL_FILE, task.saved.to_bytes(network))


def _seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Dropout differs between ranks and epochs, and is the same in a run that was interrupted."""
    torch.manual_seed(int(np.random.SeedSequence((seed, epoch, rank)).generate_state(1)[0]))


def _make_loader(task: TrainingTask, device: torch.device, rank: int, world_size: int) -> TrainingLoader:
    config = task.config
    decoder = make_decoder(
        task.saved.input_size,
        config.batch_size // world_size,
        regions=True,
        num_threads=task.plan.num_cpus,
        gpu=device.index,
    )
    return TrainingLoader(
        ray.get(task.samples),
        decoder,
        task.data_root,
        batch_size=config.batch_size,
        min_crop_area=config.min_crop_area,
        seed=task.seed,
        rank=rank,
        world_size=world_size,
    )


def _reporter(task: TrainingTask, epoch: int, rank: int) -> Callable[[int, float], None]:
    def report(steps: int, loss: float) -> None:
        if rank == 0:
            note = f"epoch {epoch + 1}/{task.config.epochs} loss {loss:.3f}"
            task.board.set.remote(f"epoch {epoch}", steps * task.config.batch_size, note)

    return report


def _restore(network: PsolNetwork, trainer: Trainer) -> History:
    """Load the last checkpoint, if any; returns the epochs done."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return []
    with checkpoint.as_directory() as folder:
        state = torch.load(Path(folder) / _CHECKPOINT, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    trainer.load_state_dict(state["trainer"])
    return state["history"]


def _save(task: TrainingTask, network: PsolNetwork, trainer: Trainer, history: History, rank: int) -> None:
    metrics = dict(history[-1])
    if rank != 0:
        # Every rank has to report, because Ray Train waits for all of them.
        ray.train.report(metrics)
        return
    # The history first: a run killed between the two writes it anew with the epoch that has no checkpoint.
    lines = "".join(json.dumps(row) + "\n" for row in history)
    task.stage.write_bytes(HISTORY_FILE, lines.encode())
    state = {"network": network.state_dict(), "trainer": trainer.state_dict(), "history": history}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, Path(folder) / _CHECKPOINT)
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
