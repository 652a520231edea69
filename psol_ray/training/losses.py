"""What is made small: the box's error, the class's cross-entropy, or their sum (Sec. 3.2.2, Sec. 4.1)."""

from collections.abc import Callable
from functools import partial

import torch
from torch.nn import functional as F
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from psol_ray.config import TrainConfig
from psol_ray.models.networks import Outputs
from psol_ray.training.loader import TrainingBatch

__all__ = ["AUXILIARY_WEIGHT", "boxes_of_class", "loss_of", "make_loss"]

BoxLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Authors' code.
_SQUARED_ERROR_WEIGHT = 50.0
# torchvision's Inception was trained with it.
AUXILIARY_WEIGHT = 0.4

_IOU_LOSSES = {"giou": generalized_box_iou_loss, "diou": distance_box_iou_loss, "ciou": complete_box_iou_loss}


def make_loss(config: TrainConfig) -> Callable[[Outputs, TrainingBatch], torch.Tensor]:
    """The sum over a batch's images, as `loss_of` does it, with this recipe's box loss."""
    weight = config.box_loss_weight
    if config.box_loss == "mse":
        return partial(loss_of, box_loss=_squared_error, box_weight=_SQUARED_ERROR_WEIGHT if weight is None else weight)
    box_loss = partial(_iou_loss, _IOU_LOSSES[config.box_loss])
    return partial(loss_of, box_loss=box_loss, box_weight=1.0 if weight is None else weight)


def loss_of(outputs: Outputs, batch: TrainingBatch, *, box_loss: BoxLoss, box_weight: float) -> torch.Tensor:
    """The losses of the heads that are there, summed over the images that could be read; a scalar.

    Args:
        outputs: of a network; what its side branch says counts `AUXILIARY_WEIGHT` times.
        batch: the images' targets.
        box_loss: `(x, y, w, h)` of shape (N, 4), twice, to a loss an image.
        box_weight: its factor.
    """
    loss_N = torch.zeros(len(batch.labels_N), device=batch.labels_N.device)
    if outputs.boxes_NR4 is not None and batch.boxes_N4 is not None:
        boxes_N4 = boxes_of_class(outputs.boxes_NR4, batch.labels_N).float()
        loss_N = loss_N + box_weight * batch.weights_N * box_loss(boxes_N4, batch.boxes_N4)
    if outputs.logits_NK is not None:
        loss_N = loss_N + F.cross_entropy(outputs.logits_NK.float(), batch.labels_N, reduction="none")
    loss = (loss_N * batch.ok_N).sum()
    if outputs.auxiliary is not None:
        loss = loss + AUXILIARY_WEIGHT * loss_of(outputs.auxiliary, batch, box_loss=box_loss, box_weight=box_weight)
    return loss


def boxes_of_class(boxes_NR4: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    """Shape (N, 4): the only box of each image, or with regression per class the one of its class."""
    if boxes_NR4.shape[1] == 1:
        return boxes_NR4[:, 0]
    return boxes_NR4[torch.arange(len(labels_N), device=boxes_NR4.device), labels_N]


def _squared_error(found_N4: torch.Tensor, true_N4: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(found_N4, true_N4, reduction="none").mean(dim=1)


def _iou_loss(loss: Callable[..., torch.Tensor], found_N4: torch.Tensor, true_N4: torch.Tensor) -> torch.Tensor:
    found, true = (torch.cat([box[:, :2], box[:, :2] + box[:, 2:]], dim=1) for box in (found_N4, true_N4))
    return loss(found, true, reduction="none")
