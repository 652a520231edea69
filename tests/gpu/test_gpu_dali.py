"""DALI's GPU decoder as the project drives it: right pixels, bad files, and nothing overwritten behind anybody's back.

    python -m pytest -q -s tests/gpu/test_gpu_dali.py

With PSOL_TEST_DEVICE=cpu it can be tried where there is no GPU. Lines that start with `NOTE` are findings: how far the
GPU's pixels are from Pillow's is not known beforehand.
"""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic.photographs import BAD, KINDS, PHOTOGRAPHS, save_bad, save_kind

from psol_ray.images.dali import DaliDecoder, dali_available
from psol_ray.images.pillow import PillowDecoder

DEVICE = torch.device(os.environ.get("PSOL_TEST_DEVICE", "cuda:0"))
GPU = DEVICE.index if DEVICE.type == "cuda" else None
pytestmark = [
    pytest.mark.skipif(
        DEVICE.type == "cuda" and not torch.cuda.is_available(),
        reason="there is no GPU here; PSOL_TEST_DEVICE=cpu tries these tests on a CPU",
    ),
    pytest.mark.skipif(not dali_available(), reason="DALI is not installed"),
]
SIZE = 224


def apart(found: torch.Tensor, expected: torch.Tensor) -> tuple[float, float, int]:
    """Mean, 99.9th percentile and maximum of the difference in grey levels, without the outermost pixels."""
    levels = (found.cpu().int() - expected.cpu().int()).abs()[:, 1:-1, 1:-1].float()
    return levels.mean().item(), np.percentile(levels.numpy(), 99.9), int(levels.max())


@pytest.mark.parametrize("hw_share", [0.0, 0.65, 1.0])
def test_photographs_are_pillows(hw_share: float) -> None:
    paths = [str(path) for path in PHOTOGRAPHS]
    found = DaliDecoder(SIZE, 3, num_threads=4, gpu=GPU, hw_share=hw_share).decode(paths)
    assert found.ok_N.all()
    assert found.images_NHWC.device.type == DEVICE.type
    mean, most, highest = apart(found.images_NHWC, PillowDecoder(SIZE).decode(paths).images_NHWC)
    print(
        f"\nNOTE photographs, hw_share {hw_share}: mean {mean:.2f}, 99.9 % within {most:.0f}, at most {highest} levels"
    )
    assert mean < 3


def test_every_kind_of_file(tmp_path: Path) -> None:
    decoder, pillow, told = DaliDecoder(SIZE, 4, gpu=GPU), PillowDecoder(SIZE), []
    for name in KINDS:
        path = save_kind(name, tmp_path)
        found = decoder.decode([path])
        assert found.ok_N.all(), name
        mean, _, highest = apart(found.images_NHWC, pillow.decode([path]).images_NHWC)
        told.append(f"{name} {mean:.2f}/{highest}")
        assert mean < 6, name
    print("\nNOTE mean/highest difference from Pillow:", ", ".join(told))


@pytest.mark.parametrize("name", BAD)
def test_bad_file_costs_only_itself(name: str, tmp_path: Path) -> None:
    decoder = DaliDecoder(SIZE, 4, gpu=GPU)
    good, other = save_kind("baseline.jpg", tmp_path), save_kind("plain.png", tmp_path)
    alone = decoder.decode([good, other]).images_NHWC
    mixed = decoder.decode([good, save_bad(name, tmp_path), other])
    assert mixed.ok_N.tolist() == [True, False, True]
    assert not mixed.images_NHWC[1].any()
    # Not equal: alone in a batch, a file may go to another of the GPU's decoders.
    assert apart(mixed.images_NHWC[[0, 2]], alone)[0] < 3
    assert decoder.decode([good, other]).ok_N.all()


@pytest.mark.parametrize("hw_share", [0.0, 0.65, 1.0])
def test_pixels_do_not_depend_on_the_batch(hw_share: float) -> None:
    """Boxes can only be the same again if they do not."""
    decoder = DaliDecoder(SIZE, 16, num_threads=4, gpu=GPU, hw_share=hw_share)
    first, *others = (str(path) for path in PHOTOGRAPHS)
    alone = decoder.decode([first]).images_NHWC[0]
    same = []
    for place in (0, 3, 8):
        batch = others * 4
        batch.insert(place, first)
        same.append(torch.equal(decoder.decode(batch).images_NHWC[place], alone))
    print(f"\nNOTE hw_share {hw_share}: in a batch of 9, at three places, bit for bit as alone: {same}")
    assert hw_share not in (0.0, 1.0) or all(same)


def test_regions_and_flips(tmp_path: Path) -> None:
    names = ["baseline.jpg", "plain.png", "turned_by_exif.jpg", "turned.tif"]
    paths = [save_kind(name, tmp_path) for name in names]
    regions = np.array([[0, 0, 330, 211], [13, 7, 213, 107], [200, 100, 330, 211], [5, 50, 101, 146]])
    flips = np.array([False, True, False, True])
    found = DaliDecoder(SIZE, 4, regions=True, gpu=GPU).decode(paths, regions, flips)
    assert found.ok_N.all()
    mean, _, highest = apart(found.images_NHWC, PillowDecoder(SIZE).decode(paths, regions, flips).images_NHWC)
    print(f"\nNOTE regions: mean {mean:.2f}, at most {highest} levels")
    assert mean < 3


def test_batches_stay_as_they_were_while_others_decode_and_a_network_works() -> None:
    """What `DaliDecoder._copy` is careful about: DALI's streams, ours, and the default one with work queued on it."""
    decoders = [DaliDecoder(SIZE, 8, num_threads=4, gpu=GPU) for _ in range(2)]
    paths = [[str(PHOTOGRAPHS[(i + k) % 3]) for i in range(8)] for k in range(3)]
    expected = [decoders[0].decode(p).images_NHWC.clone() for p in paths]
    weight = torch.randn(64, 3, 7, 7, device=DEVICE)
    wrong: list[str] = []

    def work(number: int) -> None:
        for i in range(20):
            which = (i + number) % 3
            pixels = decoders[number].decode(paths[which]).images_NHWC
            for _ in range(3 if GPU is None else 30):
                torch.conv2d(pixels.permute(0, 3, 1, 2).float(), weight)
            if not torch.equal(pixels, expected[which]):
                wrong.append(f"decoder {number}, batch {i}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
