"""The losses against sums done by hand."""

import pytest
import torch

from psol_ray.models.networks import Outputs
from psol_ray.training.loader import TrainingBatch
from psol_ray.training.losses import AUXILIARY_WEIGHT, boxes_of_class, loss_of


def batch_of(ok: list[bool]) -> TrainingBatch:
    number = len(ok)
    return TrainingBatch(
        images_NHWC=torch.zeros(number, 32, 32, 3, dtype=torch.uint8),
        boxes_N4=torch.full((number, 4), 0.5),
        labels_N=torch.zeros(number, dtype=torch.int64),
        ok_N=torch.tensor(ok),
    )


def boxes(*values: float) -> torch.Tensor:
    return torch.stack([torch.full((1, 4), value) for value in values])


LOGITS = torch.zeros(2, 4)
LN_4 = 1.3863
SQUARED = 50 * 0.1**2  # of a box of 0.6 for one of 0.5


@pytest.mark.parametrize(
    ("outputs", "loss"),
    [
        pytest.param(Outputs(boxes(0.6, 0.6), None), 2 * SQUARED, id="localizer: 50 times the squared error"),
        pytest.param(Outputs(None, LOGITS), 2 * LN_4, id="classifier: cross-entropy"),
        pytest.param(Outputs(boxes(0.6, 0.6), LOGITS), 2 * (SQUARED + LN_4), id="joint: both"),
        pytest.param(
            Outputs(None, LOGITS, Outputs(None, LOGITS)), 2 * LN_4 * (1 + AUXILIARY_WEIGHT), id="with a side branch"
        ),
    ],
)
def test_loss_is_the_sum_over_images_and_heads(outputs: Outputs, loss: float) -> None:
    assert loss_of(outputs, batch_of([True, True])).item() == pytest.approx(loss, abs=1e-4)


def test_an_image_that_could_not_be_read_adds_nothing() -> None:
    found = boxes(0.6, 0.9).requires_grad_()
    assert loss_of(Outputs(found, None), batch_of([True, False])).item() == pytest.approx(SQUARED)
    nothing = loss_of(Outputs(found, None), batch_of([False, False]))
    nothing.backward()  # a rank that read nothing still takes part in the step
    assert nothing.item() == 0
    assert found.grad is not None
    assert not found.grad.any()


def test_of_a_box_for_each_class_only_that_of_the_true_class_learns() -> None:
    batch = batch_of([True, True])
    batch.labels_N[1] = 2
    found = torch.full((2, 3, 4), 0.6, requires_grad=True)
    loss_of(Outputs(found, None), batch).backward()
    assert found.grad is not None
    assert found.grad.any(dim=2).tolist() == [[True, False, False], [False, False, True]]
    assert torch.equal(boxes_of_class(found, batch.labels_N), found[[0, 1], [0, 2]])
