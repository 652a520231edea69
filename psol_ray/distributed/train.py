"""Training by Ray Train: DDP over the workers, a checkpoint an epoch, and the rest of the run from the last one."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.train import (
    Checkpoint,
    CheckpointConfig,
    FailureConfig,
    RunConfig,
    ScalingConfig,
    TrainingFailedError,
)
from ray.train.torch import TorchTrainer, prepare_model

from psol_ray.config import TrainConfig
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.device import autocast, claim_device
from psol_ray.errors import UserError
from psol_ray.images import make_decoder
from psol_ray.models import PsolNetwork
from psol_ray.tables import StageDir
from psol_ray.training import SavedNetwork, Trainer, TrainingLoader

__all__ = ["HISTORY_FILE", "MODEL_FILE", "TrainingTask", "train"]

MODEL_FILE = "model.safetensors"
HISTORY_FILE = "metrics.jsonl"
_CHECKPOINT = "checkpoint.pt"
_MAX_FAILURES = 3


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


def train(task: TrainingTask) -> None:
    """Train to the end, from the last checkpoint if there is one.

    Leaves `model.safetensors` and `metrics.jsonl` (a line an epoch) in the stage's folder.

    Raises:
        UserError: what a worker raised as one.
    """
    folder, _, name = task.stage.path.rpartition("/")
    trainer = TorchTrainer(
        _train_worker,
        train_loop_config={"task": task},
        scaling_config=ScalingConfig(
            num_workers=task.plan.num_workers,
            use_gpu=bool(task.plan.num_gpus),
            resources_per_worker=task.plan.resources(),
        ),
        run_config=RunConfig(
            # A run is resumed by its name and place; without a stable name it would start anew.
            name=name,
            storage_path=folder,
            storage_filesystem=task.stage.fs,
            failure_config=FailureConfig(max_failures=_MAX_FAILURES),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise _user_error(error) or error from None


def _user_error(error: TrainingFailedError) -> UserError | None:
    for failure in getattr(error, "worker_failures", {}).values():
        cause = getattr(failure, "_base_exc", failure)
        if isinstance(cause, UserError):
            return cause
    return None


def _train_worker(loop_config: dict[str, Any]) -> None:
    task: TrainingTask = loop_config["task"]
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    device = claim_device(task.plan)
    torch.manual_seed(task.seed)
    network = task.saved.build(ray.get(task.pretrained)).to(device)
    wrapped = prepare_model(network, move_to_device=False)
    trainer = Trainer(wrapped, network.heads(), task.config, lambda: autocast(device, task.config.precision))
    loader = _make_loader(task, rank, world_size)
    history = _restore(network, trainer)
    for epoch in range(len(history), task.config.epochs):
        started = time.monotonic()
        loss = trainer.train_epoch(loader.epoch(epoch), _reporter(task, loader.steps, epoch, rank))
        images = loader.steps * task.config.batch_size
        row = {"epoch": epoch + 1, "loss": loss, "images_per_s": images / (time.monotonic() - started)}
        history.append(row)
        _save(task, network, trainer, history, rank)
    if rank == 0:
        task.stage.write_bytes(MODEL_FILE, task.saved.to_bytes(network))


def _make_loader(task: TrainingTask, rank: int, world_size: int) -> TrainingLoader:
    config, plan = task.config, task.plan
    share = -(-config.batch_size // world_size)
    decoder = make_decoder(task.saved.input_size, share, regions=True, num_threads=plan.num_cpus, gpu=plan.gpu)
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


def _reporter(task: TrainingTask, steps: int, epoch: int, rank: int) -> Callable[[int, float], None]:
    def report(done: int, loss: float) -> None:
        if rank == 0:
            images = (epoch * steps + done) * task.config.batch_size
            note = f"epoch {epoch + 1}/{task.config.epochs} loss {loss:.3f}"
            task.board.set.remote("training", images, note)

    return report


def _restore(network: PsolNetwork, trainer: Trainer) -> list[dict[str, float]]:
    """Load the last checkpoint, if any; returns the epochs done."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return []
    with checkpoint.as_directory() as folder:
        state = torch.load(Path(folder) / _CHECKPOINT, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    trainer.load_state_dict(state["trainer"])
    return state["history"]


def _save(
    task: TrainingTask, network: PsolNetwork, trainer: Trainer, history: list[dict[str, float]], rank: int
) -> None:
    metrics = dict(history[-1])
    if rank != 0:
        # Every rank has to report, because Ray Train waits for all of them.
        ray.train.report(metrics)
        return
    state = {"network": network.state_dict(), "trainer": trainer.state_dict(), "history": history}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, Path(folder) / _CHECKPOINT)
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
    lines = "".join(json.dumps(row) + "\n" for row in history)
    task.stage.write_bytes(HISTORY_FILE, lines.encode())
