"""When a training stops for images that cannot be used, and what it counts where it goes on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic.training import make_setup

from psol_ray.errors import UserError
from psol_ray.in_process import _StageCheckpoints
from psol_ray.training.loop import train
from psol_ray.training.setup import Rank, TrainingSetup
from psol_ray.training.unusable import Unusable, check_away, share_so_far
from psol_ray.work.progress import ProgressTracker

CHECKPOINT = "checkpoint_in_process.pt"


def run(setup: TrainingSetup) -> None:
    train(setup, Rank(0, 1, torch.device("cpu"), 1), _StageCheckpoints(setup.stage), ProgressTracker())


def rows_of(setup: TrainingSetup) -> list[dict[str, float]]:
    return [json.loads(line) for line in (setup.stage.read_text("metrics.jsonl") or "").splitlines()]


def setup_of(folder: Path, max_unreadable: float, **recipe: int) -> TrainingSetup:
    """Ten images, three steps of four an epoch, two epochs; validation on the last two."""
    setup = make_setup(folder, **recipe)
    return replace(setup, max_unreadable=max_unreadable, test_images=setup.test_images.slice(8))


def test_images_that_are_away_are_counted_in_the_curves_where_they_are_few(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, 0.5)
    for i in (3, 9):
        Path(setup.data_root, f"{i}.png").unlink()
    Path(setup.data_root, "5.png").write_bytes(b"no image")
    run(setup)
    for epoch, row in enumerate(rows_of(setup)):
        # Ten images, and the first two of the epoch once more.
        order = np.random.default_rng((setup.seed, epoch)).permutation(10)
        seen = [*order, *order[:2]]
        assert row["away"] == seen.count(3) + seen.count(9)
        assert row["unreadable"] == seen.count(5)
        assert row["test_away"] == 1
        assert "test_unreadable" not in row


def test_curves_say_nothing_of_images_that_are_all_there(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, 0.0, epochs=1)
    run(setup)
    (row,) = rows_of(setup)
    assert not {"away", "unreadable", "test_away", "test_unreadable"} & set(row)


def test_a_data_set_that_is_away_stops_the_training_before_a_checkpoint_and_it_goes_on_once_it_is_back(
    tmp_path: Path,
) -> None:
    setup, root = setup_of(tmp_path, 0.01, checkpoint_steps=1), tmp_path / "images"
    root.rename(tmp_path / "elsewhere")
    root.mkdir()
    complaint = (
        r"4 of 4 training images so far cannot be opened on .* \(\d.png, \d.png, \d.png and .*mount their folder"
    )
    with pytest.raises(UserError, match=complaint):
        run(setup)
    assert setup.stage.read_bytes(CHECKPOINT) is None
    root.rmdir()
    (tmp_path / "elsewhere").rename(root)
    run(setup)
    quiet = setup_of(tmp_path, 0.01, checkpoint_steps=1)
    quiet = replace(quiet, stage=replace(quiet.stage, path=f"{quiet.stage.path}-quiet"))
    run(quiet)
    assert setup.stage.read_bytes("model.safetensors") == quiet.stage.read_bytes("model.safetensors")


def test_test_images_that_are_away_stop_it_as_well(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, 0.4, epochs=1)
    Path(setup.data_root, "8.png").unlink()
    with pytest.raises(UserError, match=r"1 of 2 test images cannot be opened on .* \(8.png\)"):
        run(setup)
    assert setup.stage.read_bytes("model.safetensors") is None


def test_a_training_without_one_image_that_can_be_decoded_is_none(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, 1.0)
    for path in Path(setup.data_root).iterdir():
        path.write_bytes(b"no image")
    complaint = r"not one of a step's 4 images could be read \(12 of the epoch's 12 so far are no images"
    with pytest.raises(UserError, match=complaint):
        run(setup)
    assert setup.stage.read_bytes(CHECKPOINT) is None
    assert setup.stage.read_bytes("model.safetensors") is None


def test_a_step_without_an_image_changes_no_weight(tmp_path: Path) -> None:
    """Neither by weight decay nor by momentum."""
    from psol_ray.training.setup import make_loader, make_trainer

    setup = setup_of(tmp_path, 1.0)
    alone = Rank(0, 1, torch.device("cpu"), 1)
    loader = make_loader(setup, alone)
    trainer = make_trainer(setup, alone, loader.steps, lambda network: network)
    good, *_ = loader.steps_of(0, 1)
    trainer.step(good)
    before = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
    for path in Path(setup.data_root).iterdir():
        path.write_bytes(b"no image")
    bad, *_ = loader.steps_of(1, 2)
    trainer.step(bad)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.network.state_dict().items())
    assert [loss > 0 for loss in trainer.take_losses()] == [True, False]
    assert trainer.unusable == [Unusable(), Unusable(0, 4)]


@pytest.mark.parametrize(
    ("num_away", "num_images", "stops"),
    [(0, 16, False), (1, 16, False), (2, 16, True), (16, 16, True), (30, 2560, False), (45, 2560, True)],
)
def test_of_the_first_images_of_an_epoch_a_few_more_may_be_away_than_of_all(
    num_away: int, num_images: int, stops: bool
) -> None:
    def check() -> None:
        check_away(num_away, num_images, share_so_far(0.01, num_images), lambda: ["a.jpg"], "images")

    if stops:
        with pytest.raises(UserError, match=f"{num_away} of {num_images:,} images cannot be opened"):
            check()
    else:
        check()
