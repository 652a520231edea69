"""The recipe of Sec. 4.2, a step at a time: SGD with momentum, a rate that falls, and what a checkpoint must hold."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from psol_ray.errors import UserError
from psol_ray.models.networks import PsolNetwork
from psol_ray.training.loader import TrainingBatch
from psol_ray.training.losses import loss_of
from psol_ray.training.settings import TrainConfig
from psol_ray.training.unusable import Unusable
from psol_ray.training.workers import num_workers, share_buffers, sum_over_workers

__all__ = ["Trainer", "rate_factor"]


class Trainer:
    """A network with its optimizer, schedule and moving average."""

    def __init__(
        self,
        network: PsolNetwork,
        config: TrainConfig,
        *,
        steps_per_epoch: int,
        autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
        wrap: Callable[[nn.Module], nn.Module] = lambda network: network,
    ) -> None:
        """Args:
        network: on its device.
        config: the recipe.
        steps_per_epoch: steps in an epoch.
        autocast: a context for forward passes.
        wrap: puts the network into DistributedDataParallel, where there are several workers.
        """
        self.network, self._config, self._autocast = network, config, autocast
        self._wrapped = wrap(network)
        added = network.added_parameters()
        is_added = {id(parameter) for parameter in added}
        trunk = [parameter for parameter in network.parameters() if id(parameter) not in is_added]
        self._optimizer = torch.optim.SGD(
            [{"params": trunk}, {"params": added, "lr": config.learning_rate * config.head_rate_factor}],
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: rate_factor(config, step, steps_per_epoch)
        )
        self._average = (
            AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True)
            if config.ema_decay
            else None
        )
        self._losses: list[torch.Tensor] = []
        self._unusable: list[Unusable] = []
        self.unusable: list[Unusable] = []  # of all workers' images, in the steps whose losses were taken last
        self.learning_rate = config.learning_rate  # of the pretrained layers, in the last step

    @property
    def result(self) -> PsolNetwork:
        """The network as it would be used now: its moving average, where there is one."""
        average = self.network if self._average is None else self._average.module
        assert isinstance(average, PsolNetwork)
        return average

    def ready_result(self) -> PsolNetwork:
        """The same in inference mode, and alike on all workers, each of which has to call this."""
        share_buffers(self.result)
        # First into training mode: some networks drop there what they have derived from their weights.
        return self.result.train().eval()

    def step(self, batches: Sequence[TrainingBatch]) -> None:
        """One step of the optimizer.

        The loss is the sum over all workers' images divided by `batch_size`, whoever has them: its gradient depends
        neither on the number of workers nor on how their images are cut. An image that could not be read adds nothing.
        Where there is none that could, weights stay as they are.

        Args:
            batches: this worker's images of the step, taken one batch after the other.
        """
        unusable = sum((batch.unusable for batch in batches), Unusable())
        self._unusable.append(unusable)
        # Of several workers none knows it of the others, and `take_losses` tells.
        is_empty = num_workers() == 1 and unusable.total == sum(len(batch.labels_N) for batch in batches)
        self._wrapped.train()
        # A weight without a gradient is left alone: it does not decay, nor go on by its momentum.
        self._optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=batches[0].labels_N.device)
        for i, batch in enumerate(() if is_empty else batches):
            with self._alone(i + 1 < len(batches)):
                with self._autocast():
                    outputs = self._wrapped(batch.images_NHWC)
                loss = loss_of(outputs, batch) / self._config.batch_size
                # DistributedDataParallel takes the mean over workers, and this is a sum.
                (loss * num_workers()).backward()
            total += loss.detach()
        self.learning_rate = float(self._optimizer.param_groups[0]["lr"])
        self._optimizer.step()
        self._schedule.step()
        if self._average is not None and not is_empty:
            self._average.update_parameters(self.network)
        self._losses.append(total)

    def _alone(self, wanted: bool) -> AbstractContextManager[None]:
        """Gradients stay on this worker: those of a step travel once, after its last batch."""
        wrapped = self._wrapped
        return wrapped.no_sync() if wanted and isinstance(wrapped, DistributedDataParallel) else nullcontext()

    def take_losses(self) -> list[float]:
        """The losses of the steps since the last call; every worker has to call it after the same steps.

        Seldom, because a GPU has to be waited for.

        Raises:
            UserError: a loss is not finite.
        """
        if not self._losses:
            self.unusable = []
            return []
        losses_S = torch.stack(self._losses).double()
        counts = [(unusable.num_away, unusable.num_unreadable) for unusable in self._unusable]
        counts_S2 = torch.tensor(counts, dtype=torch.float64, device=losses_S.device)
        rows = sum_over_workers(torch.cat([losses_S[:, None], counts_S2], dim=1)).tolist()
        self._losses.clear()
        self._unusable.clear()
        self.unusable = [Unusable(int(num_away), int(num_unreadable)) for _, num_away, num_unreadable in rows]
        losses = [loss for loss, _, _ in rows]
        for loss in losses:
            self._check_finite("the loss is", loss)
        return losses

    def check_weights(self) -> None:
        """Raise a UserError where a weight is not finite: the last step may have done that, behind its own loss."""
        self._check_finite(
            "a weight is", float(torch.stack([p.detach().sum() for p in self.network.parameters()]).sum())
        )

    def _check_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise UserError(
                f"{what} {value}, not a finite number, at learning_rate {self._config.learning_rate}; lower it"
            )

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, but the data."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])


def rate_factor(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """What the learning rate is multiplied by in a step, counted from 0 over all epochs."""
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / (config.epochs * steps_per_epoch)))
    epoch = step // steps_per_epoch
    return 0.1 ** (epoch // config.rate_decay_epochs) if config.rate_decay_epochs else 1.0
