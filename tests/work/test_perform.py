"""One job by one worker: where its files are, what is written, and what is passed on."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic.tables import box_row, boxes_of, class_images

from psol_ray.errors import UserError
from psol_ray.tables import BOXES, MAPS, Provenance, RunDir
from psol_ray.work import perform as module
from psol_ray.work.jobs import Parts, Task
from psol_ray.work.perform import PartWriter, image_paths, perform, throttled

ROWS = boxes_of(box_row("0.jpg", (0, 1, 2, 3)))
MAP_ROWS = pa.Table.from_pylist([{"image_id": "0.jpg", "height": 0, "width": 0, "values": []}], schema=MAPS)
MADE_BY = {name: Provenance(name, {"title": name}, {}) for name in ("maps", "boxes")}


class Worker:
    """Returns what it was made with, and notes what it was given."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.given = answer, list[Any]()

    def process(self, task: Task) -> Any:
        self.given.append(task)
        return self.answer

    def measure(self, task: Task, *arguments: Any) -> Any:
        self.given.append((task, *arguments))
        return self.answer


def writer_to(folder: Path) -> PartWriter:
    run = RunDir(str(folder))
    return PartWriter({name: (run.stage(name), made_by) for name, made_by in MADE_BY.items()})


def task_of(name: str = "part-zero") -> Task:
    images = class_images(["train"])
    return Task(name, images, image_paths("/data", images), lambda _: None)


def test_parts_are_written_under_the_job_s_name_with_what_made_them(tmp_path: Path) -> None:
    worker, task = Worker(Parts(boxes=ROWS, maps=MAP_ROWS)), task_of()
    assert perform(worker, "process", task, (), writer_to(tmp_path)) is None
    assert worker.given == [task]
    run = RunDir(str(tmp_path))
    assert run.stage("boxes").read_parts(BOXES).equals(ROWS)
    assert run.stage("maps").read_parts(MAPS).equals(MAP_ROWS)
    for name, made_by in MADE_BY.items():
        assert run.stage(name).parts() == ["part-zero"]
        metadata = pq.read_metadata(tmp_path / name / "part-zero.parquet").metadata
        assert made_by.fingerprint.encode() in metadata[b"psol_ray"]


def test_anything_else_is_passed_on_and_nothing_is_written(tmp_path: Path) -> None:
    worker, task = Worker({"boxes": ROWS}), task_of("part-zero 1/2")
    assert perform(worker, "measure", task, (1, "two"), writer_to(tmp_path)) == {"boxes": ROWS}
    assert worker.given == [(task, 1, "two")]
    assert list(tmp_path.iterdir()) == []


def test_the_part_of_the_last_table_appears_last(tmp_path: Path) -> None:
    """Boxes come after maps: where a class's boxes are, its maps are, too."""
    (tmp_path / "boxes").touch()  # no folder can be made here
    with pytest.raises(UserError, match=r"boxes: part-zero\.parquet cannot be written"):
        perform(Worker(Parts(boxes=ROWS, maps=MAP_ROWS)), "process", task_of(), (), writer_to(tmp_path))
    assert RunDir(str(tmp_path)).stage("maps").parts() == ["part-zero"]


def test_files_are_below_the_data_root_in_the_order_of_rows() -> None:
    images = class_images(["train", "test", "test"]).take([2, 0, 1])
    assert image_paths("/data/images", images) == [f"/data/images/{i}.jpg" for i in (2, 0, 1)]
    assert image_paths("", images.slice(0, 1)) == ["2.jpg"]


def test_reports_come_at_most_twice_a_second_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    reported: list[int] = []
    progress = throttled(reported.append, total=10)
    for done, seconds in ((1, 0.0), (2, 0.4), (3, 0.2), (4, 0.1), (9, 0.1), (10, 0.1)):
        now += seconds
        progress(done)
    assert reported == [1, 3, 10]
