"""A class in pieces: which jobs it becomes, and that its boxes are those of the whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from synthetic.tables import class_images

from psol_ray.generators.ddt.class_boxes import draw_boxes, locate_class
from psol_ray.generators.ddt.passes import CHUNK, Accept, Read, measure, project_kept
from psol_ray.generators.ddt.split import jobs_of_class
from psol_ray.work.jobs import Job, Task


def catalog(number: int) -> pa.Table:
    return class_images(["train"] * (number - number // 5) + ["test"] * (number // 5))


@pytest.mark.parametrize(
    ("number", "fair_share", "pieces"),
    [
        pytest.param(1300, 1281, [1300], id="a little more than its share"),
        pytest.param(1300, 2600, [1300], id="less than its share"),
        pytest.param(100, 10, [100], id="too small for two chunks"),
        pytest.param(128, 10, [64, 64], id="no piece without a chunk"),
        pytest.param(1300, 650, [704, 596], id="twice its share"),
        pytest.param(20_000, 5_000, [5056, 5056, 5056, 4832], id="four times its share"),
        pytest.param(1300, 1e-9, [128] * 10 + [20], id="more workers than chunks"),
    ],
)
def test_pieces_are_about_a_fair_share_and_whole_chunks(number: int, fair_share: float, pieces: list[int]) -> None:
    images = catalog(number)
    jobs = jobs_of_class("part", images, fair_share)
    assert [job.cost for job in jobs] == pieces
    assert {job.method for job in jobs} == {"process" if len(pieces) == 1 else "measure"}
    assert [job.is_independent for job in jobs] == [len(pieces) == 1] * len(pieces)
    ids = [image_id for job in jobs for image_id in job.images["image_id"].to_pylist()]
    assert ids == images["image_id"].to_pylist()


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


class Worker:
    """A worker's three methods, with features that are drawn by hand."""

    def __init__(self, bad: Sequence[int]) -> None:
        self.bad, self.kept, self.table = bad, {}, None

    def measure(self, task: Task) -> Any:
        moments, self.kept[task.name] = measure(task.images, reader(task.images, self.bad), np.inf)
        return moments.cpu()

    def project(self, task: Task, component: Any) -> Any:
        assert len(task.images) == sum(len(chunk.ok_N) for chunk in self.kept[task.name])
        return project_kept(self.kept.pop(task.name), component)

    def draw(self, task: Task, *heat: Any) -> None:
        assert task.name == "part"
        self.table = draw_boxes(task.images, *heat, input_size=64, upsample="bilinear")["boxes"]


def run(jobs: Sequence[Job], worker: Any, order: np.random.Generator) -> None:
    waiting = list(jobs)
    while waiting:
        job = waiting.pop(order.integers(len(waiting)))
        answer = getattr(worker, job.method)(Task(job.name, job.images, [], lambda _: None), *job.arguments)
        waiting += job.then(answer) if job.then else []


@pytest.mark.parametrize("bad", [(), (0, 70, 150), range(64, 128)], ids=["all", "some bad", "a piece of bad ones"])
@pytest.mark.parametrize("seed", range(4))
def test_a_class_in_pieces_has_the_boxes_of_the_whole(bad: Sequence[int], seed: int) -> None:
    images = catalog(200)
    whole = locate_class(images, reader(images, bad), input_size=64, upsample="bilinear")["boxes"]
    worker = Worker(bad)
    run(jobs_of_class("part", images, 200 / 3), worker, np.random.default_rng(seed))
    assert repr(worker.table.to_pydict()) == repr(whole.to_pydict())  # which takes NaN for NaN


def test_a_class_in_pieces_of_which_nothing_can_be_read() -> None:
    worker = Worker(range(200))
    run(jobs_of_class("part", catalog(200), 100), worker, np.random.default_rng(0))
    assert set(worker.table["status"].to_pylist()) == {"unreadable"}


def test_pieces_name_their_class_and_keep_their_name() -> None:
    images = catalog(2 * CHUNK)
    jobs = jobs_of_class("part-zero", images, CHUNK)
    names = ["part-zero 1/2", "part-zero 2/2"]
    assert [job.name for job in jobs] == names
    assert {job.part for job in jobs} == {"part-zero"}
    worker = Worker(())
    following: list[Job] = []
    for job in jobs:
        assert job.then is not None
        assert not following
        following += job.then(worker.measure(Task(job.name, job.images, [], lambda _: None)))
    # A projection goes to the worker that measured the piece, which finds what it kept by the name.
    assert [(job.name, job.part, job.method) for job in following] == [(name, "part-zero", "project") for name in names]
    assert [job.follows for job in following] == list(jobs)
    assert [job.images for job in following] == [job.images for job in jobs]
