"""Batches: who gets which image, and that targets depend on the seed alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from psol_ray.images import DaliDecoder, Decoder, PillowDecoder, dali_available
from psol_ray.training import TrainingLoader

from .toys import write_samples

SIZE = 32


def make_loader(root: Path, number: int = 10, decoder: Decoder | None = None, **changes: Any) -> TrainingLoader:
    samples = write_samples(root, number)
    settings = {"batch_size": 4, "min_crop_area": 0.2, "seed": 7, **changes}
    return TrainingLoader(samples, decoder or PillowDecoder(SIZE), str(root), **settings)


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


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_partition_every_step(tmp_path: Path, world_size: int) -> None:
    alone = list(make_loader(tmp_path).epoch(0))
    shares = [list(make_loader(tmp_path, rank=rank, world_size=world_size).epoch(0)) for rank in range(world_size)]
    for step, whole in enumerate(alone):
        parts = [share[step] for share in shares]
        assert [len(part.labels_N) for part in parts] == [4 // world_size] * world_size
        for field in ("images_NHWC", "boxes_N4", "labels_N", "ok_N"):
            dealt = torch.stack([getattr(part, field) for part in parts], dim=1).flatten(0, 1)
            assert torch.equal(dealt, getattr(whole, field)), field


@pytest.mark.skipif(not dali_available(), reason="DALI has wheels for Linux only")
def test_decoders_see_the_same_crops(tmp_path: Path) -> None:
    by_pillow = make_loader(tmp_path, decoder=PillowDecoder(SIZE)).epoch(0)
    by_dali = make_loader(tmp_path, decoder=DaliDecoder(SIZE, 4, regions=True)).epoch(0)
    for pillow, dali in zip(by_pillow, by_dali, strict=True):
        assert torch.equal(pillow.boxes_N4, dali.boxes_N4)
        assert torch.equal(pillow.labels_N, dali.labels_N)
        # Filters differ by a few levels at the squares' hard edges; a crop one pixel off, by a hundred.
        assert (pillow.images_NHWC.int() - dali.images_NHWC.int()).abs().max() <= 4


def test_targets_are_where_the_square_is(tmp_path: Path) -> None:
    for batch in make_loader(tmp_path).epoch(0):
        assert ((batch.boxes_N4 >= 0) & (batch.boxes_N4 <= 1)).all()
        for image_HWC, (x, y, w, h) in zip(batch.images_NHWC, batch.boxes_N4 * SIZE, strict=True):
            square = image_HWC[int(y + h / 2), int(x + w / 2)].int()
            assert ((square - 128).abs() > 60).all()


def test_an_unreadable_image_keeps_its_place_and_does_not_count(tmp_path: Path) -> None:
    loader = make_loader(tmp_path, 4)
    (tmp_path / "2.png").write_bytes(b"no image")
    (batch,) = loader.epoch(0)
    bad = int(np.flatnonzero(loader.order(0) == 2)[0])
    assert batch.ok_N.tolist() == [i != bad for i in range(4)]
    assert not batch.images_NHWC[bad].any()
    assert len(batch.boxes_N4) == len(batch.labels_N) == 4


def test_without_boxes_there_are_no_targets_for_boxes(tmp_path: Path) -> None:
    samples = write_samples(tmp_path, 4, boxes=False)
    loader = TrainingLoader(samples, PillowDecoder(SIZE), str(tmp_path), batch_size=2, min_crop_area=1, seed=0)
    batches = list(loader.epoch(0))
    assert all(batch.boxes_N4 is None for batch in batches)
    assert sorted(torch.cat([batch.labels_N for batch in batches]).tolist()) == [0, 0, 1, 1]
