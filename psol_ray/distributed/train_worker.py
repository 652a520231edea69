"""Training by Ray Train, seen from a worker: DDP, validation, checkpoints, and the rest of a run from the last one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import ray
import ray.train
import ray.train.torch
import torch

from psol_ray.distributed.checkpoint import Position, restore, save
from psol_ray.distributed.diary import Diary
from psol_ray.distributed.train_setup import Place, TrainingTask, make_loader, make_trainer, make_validation
from psol_ray.training.loop import Trainer

__all__ = ["BEST_FILE", "MODEL_FILE", "train_worker"]

MODEL_FILE = "model.safetensors"
BEST_FILE = "best.safetensors"

# A GPU has to be waited for to know a loss.
_STEPS_BETWEEN_LOSSES = 10


def train_worker(loop_config: dict[str, Any]) -> None:
    """Runs on every worker; `loop_config["task"]` is a reference to a `TrainingTask`."""
    task: TrainingTask = ray.get(loop_config["task"])
    context = ray.train.get_context()
    # Not `cuda:0`: unlike an actor, a worker of Ray Train sees all GPUs that its machine lends to the run.
    place = Place(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())
    torch.set_num_threads(task.plan.num_cpus)
    torch.manual_seed(task.seed)
    loader = make_loader(task, place)
    trainer = make_trainer(task, place, loader.steps)
    position = restore(task.saved, trainer)
    diary = Diary(task, position, loader.steps) if place.rank == 0 else None
    validate = make_validation(task, place, trainer)
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
        if saves:
            trainer.check_weights()
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
    diary.go_on()


def _to_bytes(task: TrainingTask, trainer: Trainer) -> bytes:
    return task.saved.to_bytes(trainer.result, {**task.made_by.config, "version": task.made_by.version})


def _seed_step(seed: int, step: int, rank: int) -> None:
    """Dropout differs between ranks and steps, and is the same in a run that was interrupted."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0]))
