"""Training by Ray Train, seen from a worker: DDP, validation, checkpoints, and the rest of a run from the last one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import ray
import ray.train.torch
import torch

from psol_ray.config import TrainConfig
from psol_ray.distributed.checkpoint import Position, restore, save
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.device import autocast
from psol_ray.distributed.diary import Diary
from psol_ray.images import make_decoder
from psol_ray.models import SavedNetwork
from psol_ray.tables import Provenance, StageDir
from psol_ray.training import Trainer, TrainingLoader, Validator

__all__ = ["BEST_FILE", "MODEL_FILE", "TrainingTask", "train_worker"]

MODEL_FILE = "model.safetensors"
BEST_FILE = "best.safetensors"

# A GPU has to be waited for to know a loss.
_STEPS_BETWEEN_LOSSES = 10
_VALIDATION_BATCH = 64


@dataclass(frozen=True)
class TrainingTask:
    """What every worker is told. `samples`, `test_images` and `pretrained` are references into the object store."""

    config: TrainConfig
    saved: SavedNetwork
    samples: Any
    test_images: Any
    pretrained: Any
    data_root: str
    seed: int
    plan: WorkerPlan
    stage: StageDir
    made_by: Provenance
    board: Any


@dataclass(frozen=True)
class _Place:
    """Where a worker is among its likes, and on which device."""

    rank: int
    world_size: int
    device: torch.device


def train_worker(loop_config: dict[str, Any]) -> None:
    """Runs on every worker; `loop_config["task"]` is a `TrainingTask`."""
    task: TrainingTask = loop_config["task"]
    context = ray.train.get_context()
    # Not `cuda:0`: unlike an actor, a worker of Ray Train sees all GPUs that its machine lends to the run.
    place = _Place(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())
    torch.set_num_threads(task.plan.num_cpus)
    torch.manual_seed(task.seed)
    loader = _make_loader(task, place)
    trainer = _make_trainer(task, place, loader.steps)
    position = restore(task.saved, trainer)
    diary = Diary(task, position, loader.steps) if place.rank == 0 else None
    validate = _make_validation(task, place, trainer)
    last = loader.steps * task.config.epochs
    for share in loader.shares(position.step, last):
        _seed_step(task.seed, position.step, place.rank)
        trainer.step(share)
        position.step += 1
        ends_epoch = position.step % loader.steps == 0
        saves = ends_epoch or position.step % task.config.checkpoint_steps == 0
        if saves or position.step % _STEPS_BETWEEN_LOSSES == 0:
            losses = trainer.take_losses()
            position.losses += losses
            if diary:
                diary.note(losses, trainer.learning_rate)
        if ends_epoch:
            _end_epoch(task, trainer, position, diary, validate)
        if saves:
            _save(task, trainer, position, diary)
    if diary:
        task.stage.write_bytes(MODEL_FILE, _to_bytes(task, trainer))


def _end_epoch(
    task: TrainingTask,
    trainer: Trainer,
    position: Position,
    diary: Diary | None,
    validate: Callable[[], dict[str, float]],
) -> None:
    scores = validate()
    if diary and diary.end_epoch(scores):
        # Bytes of their own: what the next epoch does to the network does not reach them.
        task.stage.write_bytes(BEST_FILE, _to_bytes(task, trainer))
    position.losses.clear()


def _save(task: TrainingTask, trainer: Trainer, position: Position, diary: Diary | None) -> None:
    if diary is None:
        # Every rank has to report, because Ray Train waits for all of them.
        ray.train.report({"step": position.step})
        return
    # The curves first: a run killed between the two writes them anew with the steps that have no checkpoint.
    diary.write()
    save(task.saved, trainer, position)


def _to_bytes(task: TrainingTask, trainer: Trainer) -> bytes:
    return task.saved.to_bytes(trainer.result, {**task.made_by.config, "version": task.made_by.version})


def _seed_step(seed: int, step: int, rank: int) -> None:
    """Dropout differs between ranks and steps, and is the same in a run that was interrupted."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0]))


def _precision(task: TrainingTask, place: _Place, training: bool) -> Callable[[], AbstractContextManager[None]]:
    return partial(autocast, place.device, task.config.precision, training=training)


def _make_trainer(task: TrainingTask, place: _Place, steps: int) -> Trainer:
    network = task.saved.build(ray.get(task.pretrained), for_training=True).to(place.device)
    if task.config.compile:
        network.compile()
    return Trainer(
        network,
        task.config,
        steps_an_epoch=steps,
        autocast=_precision(task, place, training=True),
        wrap=partial(ray.train.torch.prepare_model, move_to_device=False),
    )


def _make_loader(task: TrainingTask, place: _Place) -> TrainingLoader:
    config = task.config
    share = -(-config.batch_size // place.world_size)
    decoder = make_decoder(
        task.saved.input_size,
        min(share, config.micro_batch_size or share),
        regions=True,
        num_threads=task.plan.num_cpus,
        gpu=place.device.index,
    )
    return TrainingLoader(
        ray.get(task.samples),
        decoder,
        task.data_root,
        batch_size=config.batch_size,
        min_crop_area=config.min_crop_area,
        seed=task.seed,
        rank=place.rank,
        world_size=place.world_size,
        micro_batch_size=config.micro_batch_size,
    )


def _make_validation(task: TrainingTask, place: _Place, trainer: Trainer) -> Callable[[], dict[str, float]]:
    decoder = make_decoder(
        task.saved.input_size, _VALIDATION_BATCH, num_threads=task.plan.num_cpus, gpu=place.device.index
    )
    validator = Validator(
        ray.get(task.test_images),
        decoder,
        task.data_root,
        batch_size=_VALIDATION_BATCH,
        rank=place.rank,
        world_size=place.world_size,
    )
    return lambda: validator.scores(trainer.result.eval(), _precision(task, place, training=False))
