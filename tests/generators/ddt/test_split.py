"""A class in pieces: which jobs it becomes, and that its boxes are those of the whole."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray
import torch

from psol_ray.distributed.jobs import Job
from psol_ray.distributed.packed import unpack
from psol_ray.distributed.split import jobs_of_class
from psol_ray.generators.ddt.class_boxes import draw_boxes, locate_class
from psol_ray.generators.ddt.passes import CHUNK, Accept, Read, measure, project_kept


def catalog(number: int) -> pa.Table:
    return pa.table(
        {
            "image_id": [f"{i}.jpg" for i in range(number)],
            "label": pa.array([0] * number, pa.int32()),
            "class_name": ["zero"] * number,
            "split": ["train"] * (number - number // 5) + ["test"] * (number // 5),
            "width": pa.array([40] * number, pa.int32()),
            "height": pa.array([40] * number, pa.int32()),
        }
    )


@pytest.mark.parametrize(
    ("number", "fair_share", "pieces"),
    [
        pytest.param(1300, 1281, [1300], id="a little more than its share"),
        pytest.param(1300, 2600, [1300], id="less than its share"),
        pytest.param(100, 10, [100], id="too small for two chunks"),
        pytest.param(128, 10, [64, 64], id="no piece without a chunk"),
        pytest.param(1300, 650, [704, 596], id="twice its share"),
        pytest.param(20_000, 5_000, [5056, 5056, 5056, 4832], id="four times its share"),
        pytest.param(1300, 1e-9, [128] * 10 + [20], id="more actors than chunks"),
    ],
)
def test_pieces_are_about_a_fair_share_and_whole_chunks(number: int, fair_share: float, pieces: list[int]) -> None:
    jobs = jobs_of_class("part", catalog(number), fair_share)
    assert [job.cost for job in jobs] == pieces
    assert {job.method for job in jobs} == {"locate" if len(pieces) == 1 else "measure"}
    ids = [image_id for job in jobs for image_id in unpack(job.arguments[1])["image_id"].to_pylist()]
    assert ids == catalog(number)["image_id"].to_pylist()


def features(images: pa.Table) -> torch.Tensor:
    """Noise, and a bright cell or two that depend on the image's name."""
    maps = []
    for image_id in images["image_id"].to_pylist():
        rng = np.random.default_rng(int(image_id.removesuffix(".jpg")))
        map_hwc = rng.normal(size=(4, 4, 6))
        map_hwc[rng.integers(0, 3), rng.integers(0, 4)] += [0, 9, 0, 3, 0, 0]
        maps.append(map_hwc)
    return torch.from_numpy(np.array(maps, np.float32))


def reader(images: pa.Table, bad: Sequence[int] = ()) -> Read:
    def read(accept: Accept) -> None:
        ok_N = np.array([int(image_id.removesuffix(".jpg")) not in bad for image_id in images["image_id"].to_pylist()])
        accept(0, features(images), ok_N)

    return read


class Locator:
    """The actor's three methods, without an actor."""

    def __init__(self, bad: Sequence[int]) -> None:
        self.bad, self.kept, self.table = bad, {}, None

    def measure(self, piece: str, packed: bytes) -> Any:
        images = unpack(packed)
        moments, self.kept[piece] = measure(images, reader(images, self.bad), np.inf)
        return moments.cpu()

    def project(self, piece: str, packed: bytes, component: Any) -> Any:
        assert len(unpack(packed)) == sum(len(chunk.ok_N) for chunk in self.kept[piece])
        return project_kept(self.kept.pop(piece), component)

    def draw(self, part: str, packed: bytes, *heat: Any) -> None:
        assert part == "part"
        self.table = draw_boxes(unpack(packed), *heat, input_size=64, upsample="bilinear")


def run(jobs: Sequence[Job], locator: Any, order: np.random.Generator) -> None:
    waiting = list(jobs)
    while waiting:
        job = waiting.pop(order.integers(len(waiting)))
        answer = getattr(locator, job.method)(*job.arguments)
        waiting += job.then(answer) if job.then else []


@pytest.mark.parametrize("bad", [(), (0, 70, 150), range(64, 128)], ids=["all", "some bad", "a piece of bad ones"])
@pytest.mark.parametrize("seed", range(4))
def test_a_class_in_pieces_has_the_boxes_of_the_whole(
    bad: Sequence[int], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "put", lambda value: value)
    images = catalog(200)
    whole = locate_class(images, partial(reader(images, bad)), input_size=64, upsample="bilinear")
    locator = Locator(bad)
    run(jobs_of_class("part", images, 200 / 3), locator, np.random.default_rng(seed))
    assert repr(locator.table.to_pydict()) == repr(whole.to_pydict())  # which takes NaN for NaN


def test_a_class_in_pieces_of_which_nothing_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "put", lambda value: value)
    locator = Locator(range(200))
    run(jobs_of_class("part", catalog(200), 100), locator, np.random.default_rng(0))
    assert set(locator.table["status"].to_pylist()) == {"unreadable"}


def test_pieces_name_their_class() -> None:
    jobs = jobs_of_class("part-zero", catalog(2 * CHUNK), CHUNK)
    assert [job.name for job in jobs] == ["part-zero 1/2 measure", "part-zero 2/2 measure"]
    assert {job.part for job in jobs} == {"part-zero"}
