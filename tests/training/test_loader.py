"""Batches: who gets which image, and that targets depend on the seed alone."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic.training import write_training_set

from psol_ray.images import batches
from psol_ray.images.batch import DecodedBatch, Decoder
from psol_ray.images.dali import DaliDecoder, dali_available
from psol_ray.images.pillow import PillowDecoder
from psol_ray.training.loader import TrainingBatch, TrainingLoader

SIZE = 32


def make_loader(root: Path, number: int = 10, decoders: Sequence[Decoder] = (), **changes: Any) -> TrainingLoader:
    training_set = write_training_set(root, number)
    settings = {"batch_size": 4, "min_crop_area": 0.2, "seed": 7, **changes}
    return TrainingLoader(training_set, decoders or [PillowDecoder(SIZE)], str(root), **settings)


def epoch_of(loader: TrainingLoader, epoch: int = 0) -> list[TrainingBatch]:
    """Its steps, of which each must be one batch."""
    found = []
    for share in loader.steps_of(epoch * loader.steps, (epoch + 1) * loader.steps):
        (batch,) = share
        found.append(batch)
    return found


FIELDS = ("images_NHWC", "boxes_N4", "labels_N", "ok_N")


def assert_same(a: TrainingBatch, b: TrainingBatch) -> None:
    for field in FIELDS:
        assert torch.equal(getattr(a, field), getattr(b, field)), field


@pytest.mark.parametrize(("number", "batch_size"), [(8, 4), (10, 4), (3, 8), (1, 4), (5, 1)])
def test_every_image_comes_once_an_epoch_and_the_last_step_is_full(
    tmp_path: Path, number: int, batch_size: int
) -> None:
    loader = make_loader(tmp_path, number, batch_size=batch_size)
    order = loader.order(0)
    assert len(order) == loader.steps * batch_size
    assert loader.steps * batch_size - number < batch_size
    assert sorted(order[:number]) == list(range(number))
    assert set(order[number:]) <= set(range(number))


def test_epochs_and_seeds_shuffle_differently(tmp_path: Path) -> None:
    loader, same, other = (make_loader(tmp_path, 40, seed=seed) for seed in (1, 1, 2))
    assert (loader.order(3) == same.order(3)).all()
    assert (loader.order(3) != loader.order(4)).any()
    assert (loader.order(3) != other.order(3)).any()


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_ranks_partition_every_step(tmp_path: Path, world_size: int) -> None:
    alone = epoch_of(make_loader(tmp_path))
    shares = [epoch_of(make_loader(tmp_path, rank=rank, world_size=world_size)) for rank in range(world_size)]
    for step, whole in enumerate(alone):
        for rank, share in enumerate(shares):
            for field in FIELDS:
                assert torch.equal(getattr(share[step], field), getattr(whole, field)[rank::world_size]), field


@pytest.mark.parametrize(("micro_batch_size", "sizes"), [(1, [1] * 4), (3, [2, 2]), (4, [4]), (9, [4])])
def test_a_share_is_cut_into_batches_of_the_same_images(
    tmp_path: Path, micro_batch_size: int, sizes: list[int]
) -> None:
    cut = make_loader(tmp_path, micro_batch_size=micro_batch_size)
    for whole, share in zip(epoch_of(make_loader(tmp_path)), cut.steps_of(0, cut.steps), strict=True):
        assert [len(batch.labels_N) for batch in share] == sizes
        for field in FIELDS:
            assert torch.equal(torch.cat([getattr(batch, field) for batch in share]), getattr(whole, field)), field


def test_goes_on_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    loader = make_loader(tmp_path)  # 3 steps an epoch
    whole = [batch for epoch in range(3) for batch in epoch_of(loader, epoch)]
    for first, last in ((0, 9), (1, 2), (2, 7), (5, 6), (8, 9), (9, 9)):
        part = [batch for (batch,) in loader.steps_of(first, last)]
        assert len(part) == last - first
        for found, expected in zip(part, whole[first:last], strict=True):
            assert_same(found, expected)


def test_crops_are_the_same_however_a_step_is_shared_cut_and_where_the_run_goes_on(tmp_path: Path) -> None:
    whole = make_loader(tmp_path, 20, batch_size=8)  # 3 steps an epoch
    steps = [batch for epoch in range(2) for batch in epoch_of(whole, epoch)]
    for rank in range(3):
        mine = make_loader(tmp_path, 20, batch_size=8, rank=rank, world_size=3, micro_batch_size=2)
        for step, share in enumerate(mine.steps_of(2, 5), start=2):
            for field in FIELDS:
                found = torch.cat([getattr(batch, field) for batch in share])
                assert torch.equal(found, getattr(steps[step], field)[rank::3]), field


def test_crops_differ_between_steps_epochs_and_seeds(tmp_path: Path) -> None:
    loader, other = (make_loader(tmp_path, 8, batch_size=8, seed=seed) for seed in (7, 8))
    # The same images in one order: what differs is what was drawn.
    rows_B = np.zeros(8, np.intp)
    drawn = [loader._draw(0, 0, rows_B), loader._draw(0, 1, rows_B), loader._draw(1, 0, rows_B)]
    drawn.append(other._draw(0, 0, rows_B))
    for i, (regions_B4, _) in enumerate(drawn):
        assert len(np.unique(regions_B4, axis=0)) > 4
        assert all((regions_B4 != others_B4).any() for others_B4, _ in drawn[:i])


def test_two_decoders_in_turn_give_the_batches_of_one(tmp_path: Path) -> None:
    class Slow(PillowDecoder):
        """Every other batch comes late, so that the next one is ready first."""

        used = 0

        def decode(self, *batch: Any) -> DecodedBatch:
            self.used += 1
            time.sleep(0.02 * (self.used % 2))
            return super().decode(*batch)

    decoders = [Slow(SIZE), PillowDecoder(SIZE)]
    alone, together = (make_loader(tmp_path, 40, decoders) for decoders in ((), decoders))
    for a, b in zip(epoch_of(alone), epoch_of(together), strict=True):
        assert_same(a, b)
    assert 0 < decoders[0].used < alone.steps


def test_two_decoders_know_together_which_images_are_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_PAUSES_SECONDS", (0.05, 0.05))
    loader = make_loader(tmp_path, 40, [PillowDecoder(SIZE), PillowDecoder(SIZE)])
    gone = {f"{i}.png" for i in range(0, 40, 3)}
    for name in gone:
        (tmp_path / name).unlink()
    found = epoch_of(loader)
    assert loader.away == gone
    assert sum(batch.unusable.num_away for batch in found) == len(gone)


@pytest.mark.skipif(not dali_available(), reason="DALI has wheels for Linux only")
def test_decoders_see_the_same_crops(tmp_path: Path) -> None:
    by_pillow = epoch_of(make_loader(tmp_path, decoders=[PillowDecoder(SIZE)]))
    by_dali = epoch_of(make_loader(tmp_path, decoders=[DaliDecoder(SIZE, 4, regions=True)]))
    for pillow, dali in zip(by_pillow, by_dali, strict=True):
        assert torch.equal(pillow.boxes_N4, dali.boxes_N4)
        assert torch.equal(pillow.labels_N, dali.labels_N)
        # Filters differ by a few levels at the squares' hard edges; a crop one pixel off, by a hundred.
        assert (pillow.images_NHWC.int() - dali.images_NHWC.int()).abs().max() <= 4


def test_targets_are_where_the_square_is(tmp_path: Path) -> None:
    for batch in epoch_of(make_loader(tmp_path)):
        assert ((batch.boxes_N4 >= 0) & (batch.boxes_N4 <= 1)).all()
        for image_HWC, (x, y, w, h) in zip(batch.images_NHWC, batch.boxes_N4 * SIZE, strict=True):
            square = image_HWC[int(y + h / 2), int(x + w / 2)].int()
            assert ((square - 128).abs() > 60).all()


def test_an_unreadable_image_keeps_its_place_and_does_not_count(tmp_path: Path) -> None:
    loader = make_loader(tmp_path, 4)
    (tmp_path / "2.png").write_bytes(b"no image")
    (batch,) = epoch_of(loader)
    bad = int(np.flatnonzero(loader.order(0) == 2)[0])
    assert batch.ok_N.tolist() == [i != bad for i in range(4)]
    assert not batch.images_NHWC[bad].any()
    assert len(batch.boxes_N4) == len(batch.labels_N) == 4


def test_an_image_that_is_away_keeps_its_place_and_is_known_until_it_is_back(tmp_path: Path) -> None:
    loader = make_loader(tmp_path, 4)
    gone = [tmp_path / "1.png", tmp_path / "3.png"]
    content = [path.read_bytes() for path in gone]
    for path in gone:
        path.unlink()
    (batch,) = epoch_of(loader)
    assert batch.ok_N.tolist() == [row not in (1, 3) for row in loader.order(0)]
    assert loader.away == {"1.png", "3.png"}
    gone[0].write_bytes(content[0])
    (batch,) = epoch_of(loader, 1)
    assert batch.ok_N.tolist() == [row != 3 for row in loader.order(1)]
    assert loader.away == {"3.png"}


def test_without_boxes_there_are_no_targets_for_boxes(tmp_path: Path) -> None:
    training_set = write_training_set(tmp_path, 4, boxes=False)
    loader = TrainingLoader(training_set, [PillowDecoder(SIZE)], str(tmp_path), batch_size=2, min_crop_area=1, seed=0)
    found = epoch_of(loader)
    assert all(batch.boxes_N4 is None for batch in found)
    assert sorted(torch.cat([batch.labels_N for batch in found]).tolist()) == [0, 0, 1, 1]
