"""The recipe of Sec. 4.2: SGD with momentum, squared error on the box, cross-entropy on the class."""

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from psol_ray.config import TrainConfig
from psol_ray.errors import UserError
from psol_ray.models.networks import Outputs
from psol_ray.training.loader import TrainingBatch

__all__ = ["Trainer", "loss_of"]


def loss_of(outputs: Outputs, batch: TrainingBatch, box_loss_weight: float) -> torch.Tensor:
    """The sum of the losses of the heads that are there, a scalar: the mean over the images that could be read."""
    loss_N = torch.zeros(len(batch.labels_N), device=batch.labels_N.device)
    if outputs.boxes_N4 is not None and batch.boxes_N4 is not None:
        errors_N4 = F.mse_loss(outputs.boxes_N4.float(), batch.boxes_N4, reduction="none")
        loss_N = loss_N + box_loss_weight * errors_N4.mean(dim=1)
    if outputs.logits_NK is not None:
        loss_N = loss_N + F.cross_entropy(outputs.logits_NK.float(), batch.labels_N, reduction="none")
    return (loss_N * batch.ok_N).sum() / batch.ok_N.sum().clamp(min=1)


class Trainer:
    """A network with its optimizer and schedule; everything a checkpoint must hold."""

    def __init__(
        self,
        network: nn.Module,
        head_parameters: Iterable[nn.Parameter],
        config: TrainConfig,
        autocast: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Args:
        network: maps uint8 images to `Outputs`; may be wrapped in DistributedDataParallel.
        head_parameters: the added layers' parameters, which learn faster.
        config: the recipe.
        autocast: a context for forward passes.
        """
        self.network, self._config, self._autocast = network, config, autocast
        heads = list(head_parameters)
        is_head = {id(parameter) for parameter in heads}
        trunk = [parameter for parameter in network.parameters() if id(parameter) not in is_head]
        self._optimizer = torch.optim.SGD(
            [{"params": trunk}, {"params": heads, "lr": config.learning_rate * config.head_rate_factor}],
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
        self._schedule = torch.optim.lr_scheduler.StepLR(
            self._optimizer, step_size=config.rate_decay_epochs or config.epochs + 1, gamma=0.1
        )

    def train_epoch(self, batches: Iterable[TrainingBatch], on_step: Callable[[int, float], None]) -> float:
        """One pass; returns the mean loss of its steps.

        Args:
            batches: this worker's.
            on_step: called after each step with the steps done and the last loss.

        Raises:
            UserError: the loss is not finite.
        """
        self.network.train()
        total, steps = 0.0, 0
        for steps, batch in enumerate(batches, start=1):
            loss = self._step(batch)
            total += loss
            on_step(steps, loss)
        self._schedule.step()
        return total / max(steps, 1)

    def _step(self, batch: TrainingBatch) -> float:
        with self._autocast():
            outputs = self.network(batch.images_NHWC)
        loss = loss_of(outputs, batch, self._config.box_loss_weight)
        value = loss.item()
        if not math.isfinite(value):
            raise UserError(
                f"the loss is {value}, not a finite number, at learning_rate {self._config.learning_rate}; lower it"
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return value

    def state_dict(self) -> dict[str, Any]:
        """Optimizer and schedule; the network's own weights are saved beside it."""
        return {"optimizer": self._optimizer.state_dict(), "schedule": self._schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
