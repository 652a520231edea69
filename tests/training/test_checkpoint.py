"""Checkpoints, as Ray Train hands them over and back."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import ray.train
import torch
from ray.train import Checkpoint

from psol_ray.config import TrainConfig
from psol_ray.distributed.checkpoint import Position, restore, save
from psol_ray.errors import UserError
from psol_ray.models.saved import SavedNetwork
from psol_ray.training.loop import Trainer

NETWORK = SavedNetwork("test_resnet", 32, 1, None)
POSITION = Position(7, [{"step": 6, "epoch": 2, "time": 1e9, "loss": 0.5}], [0.25])


def make_trainer(network: SavedNetwork = NETWORK, **changes: Any) -> Trainer:
    return Trainer(network.build(), TrainConfig(**changes), steps_an_epoch=3)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the last checkpoint lies: a folder, as Ray Train would keep it."""
    folder = tmp_path / "checkpoint"

    def report(metrics: dict[str, float], checkpoint: Checkpoint) -> None:
        assert metrics["step"] == POSITION.rows[-1]["step"]
        shutil.copytree(checkpoint.path, folder)

    def get_checkpoint() -> Checkpoint | None:
        return Checkpoint.from_directory(folder) if folder.exists() else None

    monkeypatch.setattr(ray.train, "report", report)
    monkeypatch.setattr(ray.train, "get_checkpoint", get_checkpoint)
    return folder


def test_begins_where_there_is_no_checkpoint(storage: Path) -> None:
    assert not storage.exists()
    assert restore(NETWORK, make_trainer()) == Position(0, [], [])


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_goes_on_from_the_last(storage: Path, ema_decay: float | None) -> None:
    trainer, again = make_trainer(ema_decay=ema_decay), make_trainer(ema_decay=ema_decay)
    save(NETWORK, trainer, POSITION)
    assert storage.exists()
    assert restore(NETWORK, again) == POSITION
    for name, tensor in trainer.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor), name


def test_refuses_one_of_another_network(storage: Path) -> None:
    other = SavedNetwork("test_resnet", 64, 1, None)
    save(NETWORK, make_trainer(), POSITION)
    with pytest.raises(UserError) as complaint:
        restore(other, make_trainer(other))
    told = str(complaint.value)
    assert f"found one of {asdict(NETWORK)}, expected one of {asdict(other)}; train anew with --overwrite" in told
    assert str(storage) in told


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(b"no pickle"), id="bytes"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:1000]), id="cut short"),
        pytest.param(lambda file: file.unlink(), id="gone"),
        pytest.param(lambda file: torch.save([1], file), id="another program's"),
        pytest.param(lambda file: torch.save({"made_by": asdict(NETWORK), "trainer": {}}, file), id="without weights"),
    ],
)
def test_refuses_one_that_cannot_be_read(storage: Path, damage: Any) -> None:
    save(NETWORK, make_trainer(), POSITION)
    damage(storage / "checkpoint.pt")
    with pytest.raises(UserError, match=r"checkpoint .*: cannot be read \(.*\); train anew with --overwrite"):
        restore(NETWORK, make_trainer())
