"""What an actor makes of a job, without Ray."""

from pathlib import Path
from typing import Any

import pytest
from synthetic.tables import NAN_BOX, box_row, boxes_of, class_images

from psol_ray.distributed.actor import PartActor
from psol_ray.distributed.packed import pack
from psol_ray.errors import ImagesAway
from psol_ray.tables import BOXES, Provenance, RunDir
from psol_ray.work.jobs import Parts, Resources, Task
from psol_ray.work.perform import PartWriter
from psol_ray.work.progress import ProgressTracker


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psol_ray.work.perform._PAUSE_SECONDS", 0.0)
    for i in (0, 2, 3):
        (tmp_path / f"{i}.jpg").touch()
    stage = RunDir(str(tmp_path / "run")).stage("boxes")
    tracker: Any = ProgressTracker()
    writer = PartWriter({"boxes": (stage, Provenance("boxes", {}, {}))})
    actor = PartActor(Worker, Resources(1), str(tmp_path), writer, tracker)
    packed = pack(class_images(["train"] * 4))
    away = actor.run("process", "part-a", packed)
    assert isinstance(away, ImagesAway)
    assert away.paths == ("1.jpg",)
    assert actor.run("process", "part-a", packed, left_out=away.paths) is None
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
