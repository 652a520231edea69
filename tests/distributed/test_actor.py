"""What an actor makes of a job, without Ray."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic.logs import messages
from synthetic.tables import NAN_BOX, box_row, boxes_of, class_images

from psol_ray.distributed.actor import PartActor
from psol_ray.distributed.packed import pack
from psol_ray.errors import ImagesAway
from psol_ray.log import Subject, speak_of
from psol_ray.tables import BOXES, Provenance, RunDir
from psol_ray.work.jobs import Parts, Resources, Task
from psol_ray.work.perform import PartWriter
from psol_ray.work.progress import ProgressTracker


@pytest.fixture(autouse=True)
def _same_subject() -> Iterator[None]:
    """An actor speaks for its process, which is this one here."""
    yield
    speak_of(Subject())


class Worker:
    """Has a box for every image that is there."""

    def __init__(self, _: Resources) -> None: ...

    def process(self, task: Task) -> Parts:
        if away := [path for path in task.paths if path and not Path(path).exists()]:
            raise ImagesAway(away, "gone")
        for done in range(1, len(task.images) + 1):
            task.progress(done)
        ids = task.images["image_id"].to_pylist()
        rows = zip(ids, task.paths, strict=True)
        return Parts(boxes=boxes_of(*(box_row(name, (0, 0, 1, 1) if path else NAN_BOX) for name, path in rows)))


def test_images_that_are_away_come_back_as_an_answer_and_are_left_out_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("psol_ray.work.perform._PAUSE_SECONDS", 0.0)
    for i in (0, 2, 3):
        (tmp_path / f"{i}.jpg").touch()
    stage = RunDir(str(tmp_path / "run")).stage("boxes")
    tracker: Any = ProgressTracker()
    writer = PartWriter({"boxes": (stage, Provenance("boxes", {}, {}))})
    actor = PartActor(Worker, Resources(1), str(tmp_path), writer, tracker)
    packed = pack(class_images(["train"] * 4))
    away = actor.run("process", "part-a", packed).value
    assert isinstance(away, ImagesAway)
    assert away.paths == ("1.jpg",)
    answer = actor.run("process", "part-a", packed, left_out=away.paths)
    assert answer.value is None
    assert answer.images == {"ok": 3, "missing": 1}
    begun, failed, begun_again, ended = messages(capsys.readouterr().err)[1:]
    assert begun == begun_again == "part-a: process begins, 4 images"
    assert failed.endswith("; 1 images cannot be opened (1.jpg: No such file or directory)")
    assert ended.startswith("part-a: process ended, 4 images in ")
    assert stage.read_parts(BOXES)["status"].to_pylist() == ["ok", "missing", "ok", "ok"]
    assert tracker.images_done() == {"part-a": 4}


def test_a_job_that_may_be_the_last_is_reported_batch_by_batch(tmp_path: Path) -> None:
    reported: list[int] = []

    class Tracker(ProgressTracker):
        def update(self, job: str, images: int, note: str = "") -> None:
            super().update(job, images, note)
            reported.append(images)

    writer = PartWriter({"boxes": (RunDir(str(tmp_path)).stage("boxes"), Provenance("boxes", {}, {}))})
    tracker: Any = Tracker()
    actor = PartActor(Worker, Resources(1), str(tmp_path), writer, tracker)
    packed = pack(class_images(["train"] * 4, size=(0, 0)))  # opened by nobody
    actor.run("process", "part-a", packed)
    assert reported == [1, 4]
    reported.clear()
    actor.run("process", "part-a", packed, careful=True)
    assert reported == [1, 2, 3, 4]


def test_it_is_called_by_what_it_works_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracker: Any = ProgressTracker()
    actor = PartActor(Worker, Resources(1), str(tmp_path), PartWriter({}), tracker, Subject("cub", "boxes", "worker 3"))
    assert repr(actor) == "cub/boxes worker 3"
    assert " cub/boxes worker 3: starts with 1 CPUs\n" in capsys.readouterr().err
