"""What a training is given, and what it makes of that before its first step: network, images, validation."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import torch
from torch import nn

from psol_ray.images.decoder import make_decoder, make_decoders
from psol_ray.models.device import autocast
from psol_ray.models.saved import SavedNetwork
from psol_ray.tables import Provenance, StageDir
from psol_ray.training.loader import TrainingLoader
from psol_ray.training.settings import TrainConfig
from psol_ray.training.trainer import Trainer
from psol_ray.training.training_set import TrainingSet
from psol_ray.training.validation import Validator

__all__ = ["Rank", "TrainingSetup", "make_loader", "make_trainer", "make_validation"]

_VALIDATION_BATCH = 64


@dataclass(frozen=True)
class TrainingSetup:
    """What every worker of a training is given.

    `pretrained` holds the trunk's tensors; `stage` is where results go, and `made_by` what made them; `class_names` are
    in the order of labels; `max_pixels` is the most that an image may have, and `max_unreadable` the share of the
    images that may be away before it stops.
    """

    config: TrainConfig
    saved: SavedNetwork
    training_set: TrainingSet
    test_images: pa.Table
    pretrained: dict[str, torch.Tensor]
    data_root: str
    seed: int
    stage: StageDir
    made_by: Provenance
    class_names: Sequence[str] = ()
    max_unreadable: float = 0.0
    max_pixels: int | None = None

    @property
    def num_images(self) -> int:
        """Images over all steps of all epochs."""
        steps = -(-len(self.training_set) // self.config.batch_size)
        return steps * self.config.batch_size * self.config.epochs


@dataclass(frozen=True)
class Rank:
    """A worker's number among all of a training, its device, and the CPU threads it may use."""

    rank: int
    world_size: int
    device: torch.device
    num_cpus: int


def _precision(setup: TrainingSetup, rank: Rank, training: bool) -> Callable[[], AbstractContextManager[None]]:
    return partial(autocast, rank.device, setup.config.precision, training=training)


def make_trainer(setup: TrainingSetup, rank: Rank, steps: int, wrap: Callable[[nn.Module], nn.Module]) -> Trainer:
    """The network and all that changes it, on this worker's device; for `wrap` see `Trainer`."""
    network = setup.saved.build(setup.pretrained, for_training=True).to(rank.device)
    if setup.config.compile:
        network.compile()
    return Trainer(
        network,
        setup.config,
        steps_per_epoch=steps,
        autocast=_precision(setup, rank, training=True),
        wrap=wrap,
    )


def make_loader(setup: TrainingSetup, rank: Rank) -> TrainingLoader:
    """This worker's part of every step."""
    config = setup.config
    per_worker = -(-config.batch_size // rank.world_size)
    decoders = make_decoders(
        setup.saved.input_size,
        min(per_worker, config.micro_batch_size or per_worker),
        regions=True,
        num_threads=rank.num_cpus,
        gpu=rank.device.index,
        max_pixels=setup.max_pixels,
    )
    return TrainingLoader(
        setup.training_set,
        decoders,
        setup.data_root,
        batch_size=config.batch_size,
        min_crop_area=config.min_crop_area,
        seed=setup.seed,
        rank=rank.rank,
        world_size=rank.world_size,
        micro_batch_size=config.micro_batch_size,
    )


def make_validation(setup: TrainingSetup, rank: Rank, trainer: Trainer) -> Callable[[], dict[str, float]]:
    """Scores the trainer's result on the test images; all workers have to call it."""
    decoder = make_decoder(
        setup.saved.input_size,
        _VALIDATION_BATCH,
        num_threads=rank.num_cpus,
        gpu=rank.device.index,
        max_pixels=setup.max_pixels,
    )
    validator = Validator(
        setup.test_images,
        decoder,
        setup.data_root,
        batch_size=_VALIDATION_BATCH,
        rank=rank.rank,
        world_size=rank.world_size,
    )
    precision = _precision(setup, rank, training=False)
    return lambda: validator.scores(trainer.ready_result(), precision, max_away=setup.max_unreadable)
