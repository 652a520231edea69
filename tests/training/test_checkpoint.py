"""Checkpoints in both stores: Ray Train's, as it hands them over and back, and a file in the stage's folder."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import ray.train
import torch
from ray.train import Checkpoint

from psol_ray.distributed.train_worker import RayCheckpoints
from psol_ray.errors import UserError
from psol_ray.in_process import _CHECKPOINT, _StageCheckpoints
from psol_ray.models.saved import SavedNetwork
from psol_ray.tables import RunDir
from psol_ray.training.checkpoint import CheckpointStore, TrainState, restore, save
from psol_ray.training.settings import TrainConfig
from psol_ray.training.trainer import Trainer

NETWORK = SavedNetwork("test_resnet", 32, 1, None)
STATE = TrainState(7, [{"step": 6, "epoch": 2, "time": 1e9, "loss": 0.5}], [0.25])


def make_trainer(network: SavedNetwork = NETWORK, **changes: Any) -> Trainer:
    return Trainer(network.build(), TrainConfig(**changes), steps_per_epoch=3)


@dataclass(frozen=True)
class Storage:
    """A store, and the file that the last checkpoint is in, once there is one."""

    store: CheckpointStore
    file: Path


@pytest.fixture(params=["Ray Train", "in this process"])
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Storage:
    if request.param == "in this process":
        return Storage(
            _StageCheckpoints(RunDir(str(tmp_path)).stage("localizer")), tmp_path / "localizer" / _CHECKPOINT
        )
    folder = tmp_path / "checkpoint"

    def report(metrics: dict[str, float], checkpoint: Checkpoint | None) -> None:
        assert metrics == {"step": 6, "epoch": 2, "time": 1e9, "loss": 0.5}
        assert checkpoint is not None
        shutil.copytree(checkpoint.path, folder)

    def get_checkpoint() -> Checkpoint | None:
        return Checkpoint.from_directory(folder) if folder.exists() else None

    monkeypatch.setattr(ray.train, "report", report)
    monkeypatch.setattr(ray.train, "get_checkpoint", get_checkpoint)
    return Storage(RayCheckpoints(), folder / "checkpoint.pt")


def test_begins_where_there_is_no_checkpoint(storage: Storage) -> None:
    assert not storage.file.exists()
    assert restore(storage.store, NETWORK, make_trainer()) == TrainState(0, [], [])


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_goes_on_from_the_last(storage: Storage, ema_decay: float | None) -> None:
    trainer, again = make_trainer(ema_decay=ema_decay), make_trainer(ema_decay=ema_decay)
    save(storage.store, NETWORK, trainer, STATE)
    assert storage.file.exists()
    assert restore(storage.store, NETWORK, again) == STATE
    for name, tensor in trainer.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor), name
    for name, tensor in trainer.result.state_dict().items():
        assert torch.equal(again.result.state_dict()[name], tensor), name


def test_refuses_one_of_another_network(storage: Storage) -> None:
    other = SavedNetwork("test_resnet", 64, 1, None)
    save(storage.store, NETWORK, make_trainer(), STATE)
    with pytest.raises(UserError) as complaint:
        restore(storage.store, other, make_trainer(other))
    told = str(complaint.value)
    assert f"found one of {asdict(NETWORK)}, expected one of {asdict(other)}; train anew with --overwrite" in told
    where = storage.file.parent if isinstance(storage.store, RayCheckpoints) else storage.file
    assert f"checkpoint {where}: " in told


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(b"no pickle"), id="bytes"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:1000]), id="cut short"),
        pytest.param(lambda file: torch.save([1], file), id="another program's"),
        pytest.param(lambda file: torch.save({"made_by": asdict(NETWORK), "trainer": {}}, file), id="without weights"),
    ],
)
def test_refuses_one_that_cannot_be_read(storage: Storage, damage: Any) -> None:
    save(storage.store, NETWORK, make_trainer(), STATE)
    damage(storage.file)
    with pytest.raises(UserError, match=r"checkpoint .*: cannot be read \(.*\); train anew with --overwrite"):
        restore(storage.store, NETWORK, make_trainer())


@pytest.mark.parametrize("storage", ["Ray Train"], indirect=True)
def test_refuses_a_folder_of_ray_train_without_the_file(storage: Storage) -> None:
    """In the stage's folder there is no checkpoint without its file."""
    save(storage.store, NETWORK, make_trainer(), STATE)
    storage.file.unlink()
    with pytest.raises(UserError, match=r"checkpoint .*: cannot be read \(FileNotFoundError.*\); train anew"):
        restore(storage.store, NETWORK, make_trainer())


@pytest.mark.parametrize("storage", ["in this process"], indirect=True)
def test_the_file_of_the_stage_is_replaced_by_the_next_and_leaves_nothing_else(storage: Storage) -> None:
    save(storage.store, NETWORK, make_trainer(), STATE)
    later = TrainState(9, STATE.rows, [])
    save(storage.store, NETWORK, make_trainer(), later)
    assert restore(storage.store, NETWORK, make_trainer()) == later
    assert [path.name for path in storage.file.parent.iterdir()] == [storage.file.name]


def test_other_ranks_report_to_ray_train_without_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(ray.train, "report", lambda metrics, checkpoint: reported.append((metrics, checkpoint)))
    RayCheckpoints().save(None, {"step": 7})
    assert reported == [({"step": 7}, None)]
