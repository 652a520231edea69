"""One job by one worker: where its files are, what is written, and what is passed on."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic.tables import NAN_BOX, box_row, boxes_of, catalog_of, class_images, image

from psol_ray.errors import ImagesAway, UserError
from psol_ray.storage.addresses import image_addresses
from psol_ray.tables import BOXES, MAPS, Provenance, RunDir
from psol_ray.tables.schemas import MISSING, OK, UNREADABLE
from psol_ray.work import perform as module
from psol_ray.work.jobs import Parts, Task
from psol_ray.work.perform import PartWriter, perform, throttled, why_away

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
    return Task(name, images, image_addresses("/data", images), lambda _: None)


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
    assert image_addresses("/data/images", images) == [f"/data/images/{i}.jpg" for i in (2, 0, 1)]
    assert image_addresses("", images.slice(0, 1)) == ["2.jpg"]


def test_images_without_a_size_and_those_that_are_left_out_have_no_file() -> None:
    images = catalog_of(image("a.jpg"), image("b.jpg", width=0, height=0), image("c.jpg"), image("d.jpg"))
    assert image_addresses("/data", images, {"c.jpg"}) == ["/data/a.jpg", "", "", "/data/d.jpg"]


def test_rows_of_images_that_are_left_out_are_missing_and_not_unreadable(tmp_path: Path) -> None:
    boxes = boxes_of(box_row("a.jpg", NAN_BOX), box_row("b.jpg", NAN_BOX), box_row("c.jpg", (0, 1, 2, 3)))
    worker = Worker(Parts(boxes=boxes, maps=MAP_ROWS))
    perform(worker, "process", task_of(), (), writer_to(tmp_path), {"b.jpg", "c.jpg"})
    found = RunDir(str(tmp_path)).stage("boxes").read_parts(BOXES)
    # One that somebody saw all the same, before it was away, say, keeps its box.
    assert found["status"].to_pylist() == [UNREADABLE, MISSING, OK]
    assert found["width"].to_pylist() == [10, 10, 10]


class Away:
    """Cannot open these files, so many times."""

    def __init__(self, *outcomes: ImagesAway) -> None:
        self.outcomes, self.calls = list(outcomes), 0

    def process(self, _: Task) -> Any:
        self.calls += 1
        if self.outcomes:
            raise self.outcomes.pop(0)
        return "done"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task of eight images, of which 2.jpg and 5.jpg are not there."""
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)
    images = class_images(["train"] * 8)
    paths = image_addresses(str(tmp_path), images)
    for path in paths:
        Path(path).touch()
    Path(paths[2]).unlink()
    Path(paths[5]).unlink()
    return Task("part-zero", images, paths, lambda _: None)


def away_of(task: Task, *rows: int) -> ImagesAway:
    return ImagesAway([task.paths[row] for row in rows], "as the decoder says")


def test_a_job_that_meets_one_image_that_is_away_names_all_of_them_by_their_ids(files: Task, tmp_path: Path) -> None:
    worker = Away(away_of(files, 2))
    with pytest.raises(ImagesAway) as raised:
        perform(worker, "process", files, (), writer_to(tmp_path))
    assert raised.value.paths == ("2.jpg", "5.jpg")
    assert raised.value.reason == "No such file or directory"
    assert worker.calls == 1


def test_a_job_whose_own_images_are_all_there_is_done_again_at_once(files: Task, tmp_path: Path) -> None:
    """An outage that has passed, or images of a neighbour, of whose batches this job's images are a part."""
    whole = Task(files.name, files.images.slice(0, 2), files.paths[:2], files.progress)
    worker = Away(away_of(files, 0), ImagesAway(["/elsewhere/9.jpg"], "gone"))
    assert perform(worker, "process", whole, (), writer_to(tmp_path)) == "done"
    assert worker.calls == 3
    with pytest.raises(ImagesAway) as raised:
        perform(Away(*[ImagesAway(["/elsewhere/9.jpg"], "gone")] * 9), "process", whole, (), writer_to(tmp_path))
    assert raised.value.paths == ()


def test_a_file_that_opens_and_cannot_be_read_each_time_is_away(files: Task, tmp_path: Path) -> None:
    whole = Task(files.name, files.images.slice(0, 2), files.paths[:2], files.progress)
    worker = Away(*[ImagesAway([files.paths[1]], "Input/output error")] * 9)
    with pytest.raises(ImagesAway) as raised:
        perform(worker, "process", whole, (), writer_to(tmp_path))
    assert (raised.value.paths, raised.value.reason) == (("1.jpg",), "Input/output error")


def test_why_a_file_is_away_as_the_operating_system_says(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")  # no image, but it can be read
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    found = {name: why_away(str(tmp_path / name)) for name in ("file", "link", "loop", "pipe", "", "none", "file/x")}
    found["too long"] = why_away("x" * 300)
    found["nothing"] = why_away("")
    assert found == {
        "file": "",
        "link": "No such file or directory",
        "loop": "Too many levels of symbolic links",
        "pipe": "no regular file",  # and nobody waits for it
        "": "no regular file",
        "none": "No such file or directory",
        "file/x": "Not a directory",
        "too long": "File name too long",
        "nothing": "",
    }


def test_reports_come_at_most_twice_a_second_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    reported: list[int] = []
    progress = throttled(reported.append, total=10)
    for done, seconds in ((1, 0.0), (2, 0.4), (3, 0.2), (4, 0.1), (9, 0.1), (10, 0.1)):
        now += seconds
        progress(done)
    assert reported == [1, 3, 10]
