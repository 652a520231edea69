"""The loop from its first step to its last, with nothing but a tiny network, real images and files."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from synthetic.training import make_setup

from psol_ray.errors import UserError
from psol_ray.in_process import _StageCheckpoints
from psol_ray.models.saved import SavedNetwork
from psol_ray.training.loop import train
from psol_ray.training.setup import Rank, TrainingSetup
from psol_ray.training.trainer import Trainer
from psol_ray.work.progress import ProgressTracker

ALONE = Rank(0, 1, torch.device("cpu"), 1)


def run(setup: TrainingSetup) -> ProgressTracker:
    """Train to the end, or to a fault; from the last checkpoint, if there is one."""
    tracker = ProgressTracker()
    train(setup, ALONE, _StageCheckpoints(setup.stage), tracker)
    return tracker


def files_of(setup: TrainingSetup) -> dict[str, bytes]:
    folder = Path(setup.stage.path)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


_OF_THE_MACHINE = ("time", "images_per_s", "workers")


def rows_of(setup: TrainingSetup) -> list[dict[str, float]]:
    """Its curves without what differs from run to run."""
    rows = [json.loads(line) for line in files_of(setup)["metrics.jsonl"].splitlines()]
    return [{name: value for name, value in row.items() if name not in _OF_THE_MACHINE} for row in rows]


def run_killed_after(setup: TrainingSetup, steps: int) -> None:
    """Train until the process ends, once so many steps have been taken."""
    step_of, left = Trainer.step, steps

    def step(self: Trainer, batches: Any) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        step_of(self, batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", step)
        with pytest.raises(KeyboardInterrupt):
            run(setup)


# A checkpoint every two steps, and at the ends of epochs: after 2, 3, 4 and 6.
RECIPE: dict[str, Any] = {"checkpoint_steps": 2, "ema_decay": 0.5, "schedule": "cosine"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainingSetup:
    """A training that nothing interrupted; do not change it."""
    setup = make_setup(tmp_path_factory.mktemp("loop"), **RECIPE)
    tracker = run(setup)
    # 3 steps of 4 images for 10 images, twice.
    assert setup.num_images == tracker.snapshot().done == 24
    return setup


def test_leaves_the_network_its_best_epoch_and_curves(whole: TrainingSetup) -> None:
    files = files_of(whole)
    events = {f"tensorboard/events.out.tfevents.{step:012d}.psol" for step in (3, 6)}
    assert set(files) == {
        "model.safetensors",
        "best.safetensors",
        "metrics.jsonl",
        "checkpoint_in_process.pt",
        *events,
    }
    for name in ("model.safetensors", "best.safetensors"):
        saved, network = SavedNetwork.from_bytes(files[name])
        assert saved == whole.saved
        assert all(tensor.isfinite().all() for tensor in network.state_dict().values())


def test_rows_have_losses_scores_and_epochs(whole: TrainingSetup) -> None:
    rows = rows_of(whole)
    assert [(row["step"], row["epoch"]) for row in rows] == [(3, 1), (6, 2)]
    for row in rows:
        assert row.keys() == {"step", "epoch", "learning_rate", "loss", "gt_known", "top1"}
        assert row["loss"] > 0
        assert 0 <= row["gt_known"] <= 1
        assert 0 <= row["top1"] <= 1
    # Half a cosine from 0.02 over six steps: the rates of the third step and of the last.
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.015, 0.02 * (1 + 3**0.5 / -2) / 2])


def test_the_file_says_how_it_was_trained(whole: TrainingSetup) -> None:
    with safetensors.safe_open(f"{whole.stage.path}/model.safetensors", framework="numpy") as file:
        recipe = json.loads(file.metadata()["recipe"])
    assert recipe == {"epochs": 2, "version": whole.made_by.version}


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_one_that_was_killed_goes_on_to_the_same_weights_rows_and_files(
    whole: TrainingSetup, tmp_path: Path, steps: int
) -> None:
    """Killed in the step after these, of which the last two or three may have no checkpoint."""
    setup = make_setup(tmp_path, **RECIPE)
    run_killed_after(setup, steps)
    assert "model.safetensors" not in files_of(setup)
    tracker = run(setup)
    assert rows_of(setup) == rows_of(whole)
    expected, found = files_of(whole), files_of(setup)
    assert found.keys() == expected.keys()
    for name in ("model.safetensors", "best.safetensors"):
        assert found[name] == expected[name], name
    # What an earlier run did is part of the whole and not of the rate.
    last_checkpoint = {1: 0, 2: 2, 3: 3, 5: 4}[steps]
    assert tracker.snapshot()[:2] == (24, 4 * last_checkpoint)


def test_one_that_is_complete_takes_no_step(whole: TrainingSetup, tmp_path: Path) -> None:
    setup = make_setup(tmp_path, **RECIPE)
    setup.stage.write_bytes("checkpoint_in_process.pt", files_of(whole)["checkpoint_in_process.pt"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", lambda *_: pytest.fail("took a step"))
        run(setup)
    assert files_of(setup)["model.safetensors"] == files_of(whole)["model.safetensors"]


def test_without_a_true_box_and_a_label_no_epoch_is_the_best(tmp_path: Path) -> None:
    setup = make_setup(tmp_path, number=4, epochs=1)
    setup = TrainingSetup(**{**vars(setup), "test_images": setup.test_images.slice(0, 0)})
    run(setup)
    assert "best.safetensors" not in files_of(setup)
    assert [set(row) for row in rows_of(setup)] == [{"step", "epoch", "learning_rate", "loss"}]


def test_random_numbers_differ_from_step_to_step_and_not_from_run_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout's, say: a step's come from its number, and where the run began plays no part."""
    drawn: list[float] = []
    step_of = Trainer.step

    def step(self: Trainer, batches: Any) -> None:
        drawn.append(float(torch.rand(())))
        step_of(self, batches)

    monkeypatch.setattr(Trainer, "step", step)
    run(make_setup(tmp_path, run="whole", number=4, epochs=3))
    whole = drawn[:]
    assert len(set(whole)) == 3
    drawn.clear()
    setup = make_setup(tmp_path, run="in two", number=4, epochs=3)
    run_killed_after(setup, 1)
    run(setup)
    assert drawn == whole


def test_a_loss_that_is_not_finite_ends_it_before_it_is_in_a_checkpoint(tmp_path: Path) -> None:
    setup = make_setup(tmp_path, learning_rate=1e30)
    with pytest.raises(UserError, match=r"the loss is (nan|inf), not a finite number, at learning_rate 1e\+30; lower"):
        run(setup)
    assert "checkpoint_in_process.pt" not in files_of(setup)
    assert "model.safetensors" not in files_of(setup)
