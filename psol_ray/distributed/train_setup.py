"""What a training worker needs before its first step: network, images, validation."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
import ray.train.torch
import torch

from psol_ray.config import TrainConfig
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.images.decoder import make_decoder
from psol_ray.models.device import autocast
from psol_ray.models.saved import SavedNetwork
from psol_ray.tables import Provenance, StageDir
from psol_ray.training.loader import TrainingLoader
from psol_ray.training.loop import Trainer
from psol_ray.training.validation import Validator

__all__ = ["Place", "TrainingTask", "make_loader", "make_trainer", "make_validation"]

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
class Place:
    """Where a worker is among its likes, and on which device."""

    rank: int
    world_size: int
    device: torch.device


def _precision(task: TrainingTask, place: Place, training: bool) -> Callable[[], AbstractContextManager[None]]:
    return partial(autocast, place.device, task.config.precision, training=training)


def make_trainer(task: TrainingTask, place: Place, steps: int) -> Trainer:
    """The network and all that changes it, on this worker's device."""
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


def make_loader(task: TrainingTask, place: Place) -> TrainingLoader:
    """This worker's share of every step."""
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


def make_validation(task: TrainingTask, place: Place, trainer: Trainer) -> Callable[[], dict[str, float]]:
    """Scores the trainer's result on the test images; all workers have to call it."""
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
    return lambda: validator.scores(trainer.ready_result(), _precision(task, place, training=False))
