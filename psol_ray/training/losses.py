"""The losses of training: the box's error, the class's cross-entropy, or their sum (Sec. 3.2.2, Sec. 4.1)."""

import torch
from torch.nn import functional as F

from psol_ray.models.networks import Outputs
from psol_ray.training.loader import TrainingBatch

__all__ = ["AUXILIARY_WEIGHT", "BOX_WEIGHT", "boxes_of_class", "loss_of"]

# Authors' code.
BOX_WEIGHT = 50.0
# torchvision's Inception was trained with it.
AUXILIARY_WEIGHT = 0.4


def loss_of(outputs: Outputs, batch: TrainingBatch) -> torch.Tensor:
    """The losses of the heads that are there, summed over the images that could be read; a scalar.

    That of a box is `BOX_WEIGHT` times the squared error of `(x, y, w, h)`, the mean of the four.

    Args:
        outputs: of a network; what its side branch says counts `AUXILIARY_WEIGHT` times.
        batch: the images' targets.
    """
    loss_N = torch.zeros(len(batch.labels_N), device=batch.labels_N.device)
    if outputs.boxes_NR4 is not None and batch.boxes_N4 is not None:
        boxes_N4 = boxes_of_class(outputs.boxes_NR4, batch.labels_N).float()
        loss_N = loss_N + BOX_WEIGHT * F.mse_loss(boxes_N4, batch.boxes_N4, reduction="none").mean(dim=1)
    if outputs.logits_NK is not None:
        loss_N = loss_N + F.cross_entropy(outputs.logits_NK.float(), batch.labels_N, reduction="none")
    loss = (loss_N * batch.ok_N).sum()
    if outputs.auxiliary is not None:
        loss = loss + AUXILIARY_WEIGHT * loss_of(outputs.auxiliary, batch)
    return loss


def boxes_of_class(boxes_NR4: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    """Shape (N, 4): the only box of each image, or with regression per class the one of its class."""
    if boxes_NR4.shape[1] == 1:
        return boxes_NR4[:, 0]
    return boxes_NR4[torch.arange(len(labels_N), device=boxes_NR4.device), labels_N]
