"""The recipe on a few synthetic images."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from synthetic.training import write_training_set

from psol_ray.errors import UserError
from psol_ray.images.pillow import PillowDecoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.networks import PsolNetwork
from psol_ray.training.loader import TrainingLoader
from psol_ray.training.settings import TrainConfig
from psol_ray.training.trainer import Trainer, rate_factor

BATCH = 8


def recipe(**changes: Any) -> TrainConfig:
    return TrainConfig(**{"learning_rate": 0.02, "epochs": 4, "batch_size": BATCH, **changes})


def make_trainer(network: PsolNetwork | None = None, steps_per_epoch: int = 2, **changes: Any) -> Trainer:
    return Trainer(network or make_network(), recipe(**changes), steps_per_epoch=steps_per_epoch)


def make_network() -> PsolNetwork:
    torch.manual_seed(0)
    return PsolNetwork(find_backbone("test_resnet"), num_boxes=1, num_classes=2)


def make_loader(root: Path, number: int = 16, **changes: Any) -> TrainingLoader:
    training_set = write_training_set(root, number)
    settings = {"batch_size": BATCH, "min_crop_area": 0.6, "seed": 0, **changes}
    return TrainingLoader(training_set, [PillowDecoder(32)], str(root), **settings)


def train(trainer: Trainer, loader: TrainingLoader, first: int, last: int) -> list[float]:
    for batches in loader.steps_of(first, last):
        trainer.step(batches)
    return trainer.take_losses()


def assert_same_weights(a: PsolNetwork, b: PsolNetwork) -> None:
    for (name, mine), theirs in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name


def test_loss_decreases_on_a_tiny_problem(tmp_path: Path) -> None:
    losses = train(make_trainer(), make_loader(tmp_path), 0, 24)
    assert len(losses) == 24
    assert sum(losses[-6:]) < 0.6 * sum(losses[:6])


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_a_checkpoint_in_the_middle_of_an_epoch_goes_on_to_the_same_weights(
    tmp_path: Path, ema_decay: float | None
) -> None:
    loader = make_loader(tmp_path)
    settings = {"schedule": "cosine", "ema_decay": ema_decay}
    whole = make_trainer(**settings)
    expected = train(whole, loader, 0, 8)
    interrupted = make_trainer(**settings)
    losses = train(interrupted, loader, 0, 3)
    # Through a file, as a checkpoint goes.
    torch.save(interrupted.state_dict(), tmp_path / "state.pt")
    restored = make_trainer(**settings)
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert losses + train(restored, loader, 3, 8) == expected
    assert_same_weights(restored.network, whole.network)
    assert_same_weights(restored.result, whole.result)


def without_batch_normalisation(network: PsolNetwork) -> PsolNetwork:
    """Its means would be those of the batch at hand."""
    network.eval().train = lambda *_: network  # type: ignore[method-assign, assignment]
    return network


def test_gradients_do_not_depend_on_how_a_share_is_cut(tmp_path: Path) -> None:
    networks = [without_batch_normalisation(make_network()) for _ in range(2)]
    whole, cut = (make_trainer(network) for network in networks)
    expected = train(whole, make_loader(tmp_path), 0, 4)
    assert train(cut, make_loader(tmp_path, micro_batch_size=3), 0, 4) == pytest.approx(expected, rel=1e-4)
    for mine, theirs in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_the_moving_average_is_that_of_the_weights(tmp_path: Path) -> None:
    trainer, loader = make_trainer(ema_decay=0.75), make_loader(tmp_path)
    name = "heads.box.2.bias"
    expected = None
    for batches in loader.steps_of(0, 5):
        trainer.step(batches)
        now = trainer.network.state_dict()[name].clone()
        expected = now if expected is None else 0.75 * expected + 0.25 * now
    assert torch.allclose(trainer.result.state_dict()[name], expected, atol=1e-7)
    assert not torch.equal(trainer.network.state_dict()[name], expected)


def test_without_an_average_the_result_is_the_network() -> None:
    trainer = make_trainer()
    assert trainer.result is trainer.network


def test_added_layers_learn_faster(tmp_path: Path) -> None:
    network = make_network()
    before = copy.deepcopy(network)
    trainer = make_trainer(network, learning_rate=0.01, head_rate_factor=3)
    rates = [group["lr"] for group in trainer.state_dict()["optimizer"]["param_groups"]]
    assert rates == pytest.approx([0.01, 0.03])
    train(trainer, make_loader(tmp_path), 0, 1)
    assert not torch.equal(before.heads.box[0].weight, network.heads.box[0].weight)
    first, *_ = before.trunk.parameters()
    assert not torch.equal(first, next(network.trunk.parameters()))  # and nothing is frozen


@pytest.mark.parametrize(
    ("settings", "factors"),
    [
        pytest.param({}, [1] * 8, id="constant"),
        pytest.param({"rate_decay_epochs": 2}, [1] * 4 + [0.1] * 4, id="by 10 every two epochs"),
        pytest.param(
            {"schedule": "cosine"}, [0.5 + 0.5 * math.cos(math.pi * step / 8) for step in range(8)], id="cosine"
        ),
    ],
)
def test_rates_by_step(settings: dict[str, Any], factors: list[float]) -> None:
    assert [rate_factor(recipe(**settings), step, 2) for step in range(8)] == pytest.approx(factors)


def test_the_optimizer_follows_the_schedule(tmp_path: Path) -> None:
    trainer, loader = make_trainer(learning_rate=0.01, rate_decay_epochs=1), make_loader(tmp_path)
    rates = []
    for batches in loader.steps_of(0, 4):
        trainer.step(batches)
        rates.append(trainer.learning_rate)
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001])


def test_weights_that_are_not_finite_name_the_rate() -> None:
    network = make_network()
    trainer = make_trainer(network)
    trainer.check_weights()
    torch.nn.init.constant_(next(network.parameters()), float("inf"))
    with pytest.raises(UserError, match=r"a weight is (inf|nan), not a finite number, at learning_rate 0.02; lower it"):
        trainer.check_weights()


def test_the_box_has_a_gradient_where_bfloat16_has_none() -> None:
    network = make_network()
    torch.nn.init.constant_(network.heads.box[2].bias, 8)
    with torch.autocast("cpu", torch.bfloat16):
        boxes = network(torch.zeros(2, 32, 32, 3, dtype=torch.uint8)).boxes_NR4
    boxes.sum().backward()
    assert network.heads.box[2].bias.grad.abs().min() > 0
    assert boxes.max() < 1


def test_a_loss_that_is_not_finite_names_the_rate(tmp_path: Path) -> None:
    network = make_network()
    torch.nn.init.constant_(network.heads.box[2].bias, float("nan"))
    with pytest.raises(UserError, match=r"the loss is nan, not a finite number, at learning_rate 0.02; lower it"):
        train(make_trainer(network), make_loader(tmp_path), 0, 1)
