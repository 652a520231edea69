"""DDT's worker as a plain object: whole classes, classes in pieces, what it keeps, and what it reports."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from synthetic.images import write_squares
from synthetic.tables import class_images

from psol_ray.generators.ddt.class_boxes import locate_class
from psol_ray.generators.ddt.passes import CHUNK, Accept
from psol_ray.generators.ddt.settings import DdtSettings
from psol_ray.generators.ddt.split import jobs_of_class
from psol_ray.generators.ddt.worker import DdtWorker
from psol_ray.generators.settings import InferenceSettings
from psol_ray.images.pillow import PillowDecoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.weights import load_state
from psol_ray.tables import BOXES
from psol_ray.tables.schemas import boxes_array
from psol_ray.work.jobs import Job, Parts, Resources, Task

pytestmark = pytest.mark.usefixtures("pillow")

SIZE = 96  # 3 x 3 cells
BATCH = InferenceSettings().batch(None)
SETTINGS = DdtSettings(backbone="test_resnet", weights="random", input_size=SIZE)
STATE = load_state(find_backbone("test_resnet"), "random", for_features=True)
NUM_FILES = 12
IMAGES = class_images(["train"] * 100 + ["test"] * 35)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A dozen images."""
    root = tmp_path_factory.mktemp("images")
    write_squares(root, NUM_FILES)
    return [str(root / f"{i}.png") for i in range(NUM_FILES)]


@pytest.fixture(scope="module")
def paths(files: list[str]) -> list[str]:
    """A file for each of `IMAGES`: the dozen again and again, three of which cannot be read."""
    paths = [files[i % NUM_FILES] for i in range(len(IMAGES))]
    for bad in (0, 70, 134):
        paths[bad] = __file__
    return paths


Make = Callable[..., DdtWorker]


@pytest.fixture(scope="module")
def make() -> Iterator[Make]:
    """Makes workers, and closes them."""
    made: list[DdtWorker] = []

    def make(memory: float = 3e9, **inference: Any) -> DdtWorker:
        """`memory` is for features, of which a class may take a third."""
        settings = InferenceSettings(**{"precision": "float32", "memory_gb": memory / 1e9, **inference})
        made.append(DdtWorker(SETTINGS, settings, STATE, Resources(1)))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


@pytest.fixture(scope="module")
def worker(make: Make) -> DdtWorker:
    """One with room for everything; nothing is kept in it from test to test."""
    return make()


def bytes_of_features(number: int) -> int:
    image_NHWC = torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8)
    return number * FeatureExtractor(find_backbone("test_resnet"), STATE)(image_NHWC)[0].nbytes


def task_of(images: pa.Table, paths: list[str], name: str = "part-zero", progress: Any = lambda _: None) -> Task:
    return Task(name, images, paths, progress)


@pytest.fixture(scope="module")
def whole(worker: DdtWorker, paths: list[str]) -> pa.Table:
    """The class's boxes, drawn in one piece."""
    parts = worker.process(task_of(IMAGES, paths))
    assert isinstance(parts, Parts)
    assert parts.keys() == {"boxes", "heat"}
    return parts["boxes"]


def same(one: pa.Table, other: pa.Table) -> bool:
    return repr(one.to_pydict()) == repr(other.to_pydict())  # which takes NaN for NaN


def test_a_whole_class_has_the_boxes_of_its_features(whole: pa.Table, paths: list[str]) -> None:
    """Those of all its images at once, without a stream and without batches."""
    extract = FeatureExtractor(find_backbone("test_resnet"), STATE)
    decoded = PillowDecoder(SIZE).decode(paths)

    def read(accept: Accept) -> None:
        accept(0, extract(decoded.images_NHWC), decoded.ok_N)

    expected = locate_class(IMAGES, read, input_size=SIZE, upsample="bilinear")["boxes"]
    assert whole.schema == BOXES
    readable_N4 = boxes_array(whole)[[row for row in range(len(IMAGES)) if row not in (0, 70, 134)]]
    assert len(np.unique(readable_N4, axis=0)) > NUM_FILES / 2  # not all of them whole images, say
    assert whole["image_id"] == IMAGES["image_id"]
    assert whole["status"] == expected["status"]
    assert [row for row, status in enumerate(whole["status"].to_pylist()) if status == "unreadable"] == [0, 70, 134]
    np.testing.assert_allclose(boxes_array(whole), boxes_array(expected), atol=0.01)


@pytest.mark.parametrize("batch_size", [5, 64])
def test_batches_change_no_box(make: Make, whole: pa.Table, paths: list[str], batch_size: int) -> None:
    found = make(batch_size=batch_size).process(task_of(IMAGES, paths))["boxes"]
    # Not to the last digit: kernels for larger batches sum in another order.
    assert found["status"] == whole["status"]
    np.testing.assert_allclose(boxes_array(found), boxes_array(whole), atol=0.01)


def run_split(paths: list[str], worker_of: Callable[[Job], DdtWorker]) -> pa.Table:
    """The class in two pieces, each job by the worker that it is given to."""
    waiting = list(jobs_of_class("part-zero", IMAGES, len(IMAGES) / 2))
    assert len(waiting) == 2
    while waiting:
        job = waiting.pop(0)
        first = int(job.images["image_id"][0].as_py().removesuffix(".jpg"))
        task = task_of(job.images, paths[first : first + job.cost], job.name)
        answer = getattr(worker_of(job), job.method)(task, *job.arguments)
        if isinstance(answer, Parts):
            assert task.name == "part-zero"
            return answer["boxes"]
        assert job.then is not None
        waiting += job.then(answer)
    raise AssertionError("no boxes")


def test_a_class_in_pieces_has_the_boxes_of_the_whole_to_the_last_digit(
    worker: DdtWorker, whole: pa.Table, paths: list[str]
) -> None:
    assert same(run_split(paths, lambda _: worker), whole)
    assert worker._kept == {}


def test_it_has_them_also_where_others_project_what_one_has_measured(
    make: Make, worker: DdtWorker, whole: pa.Table, paths: list[str]
) -> None:
    """The one that measured a piece has died, say: another reads its files again."""
    other = make()
    assert same(run_split(paths, lambda job: worker if job.method == "measure" else other), whole)
    worker._kept.clear()


def test_features_of_a_piece_are_kept_and_its_files_read_once(
    make: Make, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make()
    task = task_of(IMAGES, paths, "part-zero 1/2")
    component = worker.measure(task).component()
    again = make().project(task, component)
    monkeypatch.setattr(worker.stream, "read", lambda *_: pytest.fail("read the files again"))
    kept = worker.project(task, component)
    np.testing.assert_array_equal(kept.heat_Nhw, again.heat_Nhw)
    np.testing.assert_array_equal(kept.ok_N, again.ok_N)


def test_pieces_share_the_memory_and_give_it_back(make: Make, paths: list[str]) -> None:
    images = IMAGES.slice(0, CHUNK)
    worker = make(3 * bytes_of_features(CHUNK) * 1.5)  # room for one piece and a half
    tasks = [task_of(images, paths[:CHUNK], name) for name in ("first", "second", "third")]
    component = worker.measure(tasks[0]).component()
    worker.measure(tasks[1])
    assert list(worker._kept) == ["first"]
    heats = [worker.project(task, component) for task in tasks[:2]]
    np.testing.assert_array_equal(heats[0].heat_Nhw, heats[1].heat_Nhw)
    worker.measure(tasks[2])
    assert list(worker._kept) == ["third"]


def test_a_class_beyond_the_memory_is_read_twice_for_the_same_boxes(
    make: Make, whole: pa.Table, paths: list[str]
) -> None:
    reported: list[int] = []
    worker = make(3 * bytes_of_features(len(IMAGES) - 1), batch_size=BATCH)
    found = worker.process(task_of(IMAGES, paths, progress=reported.append))
    assert same(found["boxes"], whole)
    # Either pass is half of it.
    done = [*range(BATCH, len(IMAGES), BATCH), len(IMAGES)]
    assert reported == [images // 2 for images in (*done, *(len(IMAGES) + again for again in done))]


def test_a_class_within_the_memory_is_read_once(make: Make, paths: list[str]) -> None:
    reported: list[int] = []
    worker = make(3 * bytes_of_features(len(IMAGES)), batch_size=64)
    worker.process(task_of(IMAGES, paths, progress=reported.append))
    assert reported == [64, 128, 135]


def test_projecting_what_was_not_kept_is_the_second_half(make: Make, paths: list[str]) -> None:
    reported: list[int] = []
    worker = make(batch_size=64)
    task = task_of(IMAGES, paths, progress=reported.append)
    component = worker.measure(task).component()
    assert reported == [64, 128, 135]
    worker._kept.clear()
    reported.clear()
    worker.project(task, component)
    assert reported == [(135 + 64) // 2, (135 + 128) // 2, 135]


def test_two_classes_at_once_have_the_boxes_of_each_alone(worker: DdtWorker, paths: list[str]) -> None:
    """Their batches run from the one into the other."""
    tasks = [
        task_of(IMAGES.slice(0, 61), paths[:61], "part-one"),
        task_of(IMAGES.slice(61), paths[61:], "part-other"),
    ]
    alone = [worker.process(task)["boxes"] for task in tasks]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(worker.process, tasks))
    for found, expected in zip(together, alone, strict=True):
        assert same(found["boxes"], expected)


def test_a_class_of_which_nothing_can_be_read_has_rows_and_no_boxes(worker: DdtWorker) -> None:
    images = IMAGES.slice(0, 3)
    found = worker.process(task_of(images, [__file__] * 3))["boxes"]
    assert found["status"].to_pylist() == ["unreadable"] * 3


def test_a_worker_that_is_closed_leaves_no_thread(paths: list[str]) -> None:
    before = set(threading.enumerate())
    inference = InferenceSettings(precision="float32", memory_gb=1)
    worker = partial(DdtWorker, SETTINGS, inference, STATE)(Resources(1))
    worker.process(task_of(IMAGES.slice(1, 3), paths[1:4]))
    threads = {thread.name for thread in set(threading.enumerate()) - before}
    assert {"decode", "network"} <= threads
    worker.close()
    assert {"decode", "network"}.isdisjoint(thread.name for thread in set(threading.enumerate()) - before)
