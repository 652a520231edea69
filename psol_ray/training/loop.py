"""A training from its first step, or from its last checkpoint, to its last: the same on any number of workers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from psol_ray.errors import UserError
from psol_ray.models.device import prepare_process
from psol_ray.tables.file_names import BEST_FILE, MODEL_FILE
from psol_ray.training.checkpoint import CheckpointStore, TrainState, restore, save
from psol_ray.training.loader import TrainingLoader
from psol_ray.training.metrics_log import MetricsLogger, Progress
from psol_ray.training.setup import Rank, TrainingSetup, make_loader, make_trainer, make_validation
from psol_ray.training.trainer import Trainer
from psol_ray.training.unusable import Unusable, check_away, share_so_far
from psol_ray.training.workers import num_workers
from psol_ray.work.counters import timed

__all__ = ["train"]

# A GPU has to be waited for to know a loss.
_STEPS_BETWEEN_LOSSES = 10


def train(
    setup: TrainingSetup,
    rank: Rank,
    store: CheckpointStore,
    progress: Progress,
    wrap: Callable[[nn.Module], nn.Module] = lambda network: network,
) -> None:
    """Run on every worker of the training.

    Leaves `model.safetensors`, `best.safetensors` (where test images say which epoch that was), `metrics.jsonl` and
    TensorBoard event files in the stage's folder.

    Args:
        setup: what to train.
        rank: which worker this is.
        store: keeps checkpoints.
        progress: of the first rank alone.
        wrap: puts the network into DistributedDataParallel, where there are several workers.

    Raises:
        UserError: a loss or a weight is not finite, too many images are away, a checkpoint cannot be read, or a file
            not be written.
    """
    prepare_process(rank.num_cpus)
    torch.manual_seed(setup.seed)
    loader = make_loader(setup, rank)
    trainer = make_trainer(setup, rank, loader.steps, wrap)
    state = restore(store, setup.saved, trainer)
    logger = MetricsLogger(setup, state, loader.steps, progress) if rank.rank == 0 else None
    run = _Run(setup, loader, trainer, state, store, logger, make_validation(setup, rank, trainer))
    for batches in timed(loader.steps_of(state.step, loader.steps * setup.config.epochs)):
        _seed_step(setup.seed, state.step, rank.rank)
        trainer.step(batches)
        state.step += 1
        ends_epoch = state.step % loader.steps == 0
        saves = ends_epoch or state.step % setup.config.checkpoint_steps == 0
        if saves or state.step % _STEPS_BETWEEN_LOSSES == 0:
            run.take_losses()
        if saves:
            trainer.check_weights()
        if ends_epoch:
            run.end_epoch()
        if saves:
            run.save()
    if logger:
        setup.stage.write_bytes(MODEL_FILE, run.to_bytes())


def _seed_step(seed: int, step: int, rank: int) -> None:
    """Dropout differs between ranks and steps, and is the same in a run that was interrupted."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0]))


@dataclass(frozen=True)
class _Run:
    """What happens between steps; `logger` is the first rank's alone."""

    setup: TrainingSetup
    loader: TrainingLoader
    trainer: Trainer
    state: TrainState
    store: CheckpointStore
    logger: MetricsLogger | None
    validate: Callable[[], dict[str, float]]

    def take_losses(self) -> None:
        losses = self.trainer.take_losses()
        self.state.losses += losses
        self._check_images()
        if self.logger:
            self.logger.log_steps(losses, self.trainer.learning_rate)

    def _check_images(self) -> None:
        """Before a checkpoint holds what was learned from too few images."""
        state, batch_size = self.state, self.setup.config.batch_size
        for unusable in self.trainer.unusable:
            state.num_away += unusable.num_away
            state.num_unreadable += unusable.num_unreadable
        num_seen = len(state.losses) * batch_size
        self._check_away(share_so_far(self.setup.max_unreadable, num_seen))
        empty = any(unusable.total >= batch_size for unusable in self.trainer.unusable)
        if state.num_away + state.num_unreadable >= num_seen or (empty and num_workers() > 1):
            raise UserError(
                f"not one of a step's {batch_size} images could be read ({state.num_unreadable:,} of the epoch's"
                f" {num_seen:,} so far are no images that can be decoded); put whole files in their place, and the"
                " same command goes on from the last checkpoint"
            )

    def _check_away(self, max_share: float) -> None:
        num_seen = len(self.state.losses) * self.setup.config.batch_size
        check_away(self.state.num_away, num_seen, max_share, lambda: self.loader.away, "training images so far")

    def end_epoch(self) -> None:
        self._check_away(self.setup.max_unreadable)
        scores = {**self.validate(), **Unusable(self.state.num_away, self.state.num_unreadable).row()}
        if self.logger and self.logger.end_epoch(scores):
            # Bytes of their own: what the next epoch does to the network does not reach them.
            self.setup.stage.write_bytes(BEST_FILE, self.to_bytes())
        self.state.losses.clear()
        self.state.num_away = self.state.num_unreadable = 0

    def save(self) -> None:
        if self.logger is None:
            self.store.save(None, {"step": self.state.step})
            return
        # The curves first: a run killed between the two writes them anew with the steps that have no checkpoint.
        self.logger.flush()
        save(self.store, self.setup.saved, self.trainer, self.state)
        self.logger.resume()

    def to_bytes(self) -> bytes:
        made_by = self.setup.made_by
        recipe = {**made_by.config, "version": made_by.version}
        return self.setup.saved.to_bytes(self.trainer.result, recipe, self.setup.class_names)
