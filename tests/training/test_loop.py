"""The recipe on toys."""

import contextlib
from pathlib import Path

import pytest
import torch

from psol_ray.config import TrainConfig
from psol_ray.errors import UserError
from psol_ray.images import PillowDecoder
from psol_ray.models import PsolNetwork, find_backbone
from psol_ray.models.networks import Outputs
from psol_ray.training import Trainer, TrainingBatch, TrainingLoader
from psol_ray.training.loop import loss_of

from .toys import write_samples


def batch_of(ok: list[bool]) -> TrainingBatch:
    number = len(ok)
    return TrainingBatch(
        images_NHWC=torch.zeros(number, 32, 32, 3, dtype=torch.uint8),
        boxes_N4=torch.full((number, 4), 0.5),
        labels_N=torch.zeros(number, dtype=torch.int64),
        ok_N=torch.tensor(ok),
    )


LOGITS = torch.zeros(2, 4)
LN_4 = 1.3863


@pytest.mark.parametrize(
    ("boxes", "logits", "loss"),
    [
        pytest.param(torch.full((2, 4), 0.6), None, 0.5, id="localizer: 50 times the squared error"),
        pytest.param(None, LOGITS, LN_4, id="classifier: cross-entropy"),
        pytest.param(torch.full((2, 4), 0.6), LOGITS, 0.5 + LN_4, id="joint: both"),
    ],
)
def test_loss(boxes: torch.Tensor | None, logits: torch.Tensor | None, loss: float) -> None:
    assert loss_of(Outputs(boxes, logits), batch_of([True, True]), 50).item() == pytest.approx(loss, abs=1e-4)


def test_loss_is_the_mean_over_images_that_could_be_read() -> None:
    boxes = torch.stack([torch.full((4,), 0.6), torch.full((4,), 0.9)]).requires_grad_()
    assert loss_of(Outputs(boxes, None), batch_of([True, False]), 50).item() == pytest.approx(0.5)
    nothing = loss_of(Outputs(boxes, None), batch_of([False, False]), 50)
    nothing.backward()  # a rank that read nothing still takes part in the step
    assert nothing.item() == 0
    assert boxes.grad is not None
    assert not boxes.grad.any()


def make_trainer(network: PsolNetwork, **changes: float) -> Trainer:
    settings = {"learning_rate": 0.02, "epochs": 4, "momentum": 0.9, **changes}
    return Trainer(network, network.heads(), TrainConfig(**settings), contextlib.nullcontext)  # type: ignore[arg-type]


def make_network() -> PsolNetwork:
    torch.manual_seed(0)
    return PsolNetwork(find_backbone("test_resnet"), box=True, num_classes=2)


def make_loader(root: Path, number: int = 16) -> TrainingLoader:
    samples = write_samples(root, number)
    return TrainingLoader(samples, PillowDecoder(32), str(root), batch_size=8, min_crop_area=0.6, seed=0)


def test_loss_decreases_on_a_tiny_problem(tmp_path: Path) -> None:
    trainer, loader = make_trainer(make_network()), make_loader(tmp_path)
    steps: list[int] = []
    losses = [trainer.train_epoch(loader.epoch(epoch), lambda done, _: steps.append(done)) for epoch in range(12)]
    assert steps == [1, 2] * 12
    assert sum(losses[-3:]) < 0.6 * sum(losses[:3])


def test_a_checkpoint_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    loader = make_loader(tmp_path)

    def train(trainer: Trainer, epochs: range) -> list[float]:
        return [trainer.train_epoch(loader.epoch(epoch), lambda *_: None) for epoch in epochs]

    settings = {"rate_decay_epochs": 1}
    expected = train(make_trainer(make_network(), **settings), range(4))
    network = make_network()
    interrupted = make_trainer(network, **settings)
    train(interrupted, range(2))
    restored_network = make_network()
    restored_network.load_state_dict(network.state_dict())
    restored = make_trainer(restored_network, **settings)
    restored.load_state_dict(interrupted.state_dict())
    assert train(restored, range(2, 4)) == pytest.approx(expected[2:], rel=1e-4)


def test_heads_learn_faster_and_rates_decay_by_the_epoch(tmp_path: Path) -> None:
    trainer = make_trainer(make_network(), learning_rate=0.01, head_rate_factor=3, rate_decay_epochs=2)
    loader = make_loader(tmp_path, 8)
    seen = []
    for epoch in range(3):
        seen.append([group["lr"] for group in trainer.state_dict()["optimizer"]["param_groups"]])
        trainer.train_epoch(loader.epoch(epoch), lambda *_: None)
    assert seen == [pytest.approx(rates) for rates in ([0.01, 0.03], [0.01, 0.03], [0.001, 0.003])]


def test_a_loss_that_is_not_finite_names_the_rate(tmp_path: Path) -> None:
    network = make_network()
    torch.nn.init.constant_(network.heads()[-1], float("nan"))
    with pytest.raises(UserError, match=r"the loss is nan, not a finite number, at learning_rate 0.02; lower it"):
        make_trainer(network).train_epoch(make_loader(tmp_path).epoch(0), lambda *_: None)
