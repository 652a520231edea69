"""Jobs, headers and trainings in this process: what comes when, what is written, and what an error leaves."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic.fixtures import one_thread, pillow_alone
from synthetic.images import cut_short, write_squares
from synthetic.logs import messages
from synthetic.tables import NAN_BOX, box_row, boxes_of, class_images
from synthetic.training import make_setup

from psol_ray.errors import ImagesAway, UserError
from psol_ray.in_process import InProcess
from psol_ray.tables import BOXES, Provenance, RunDir
from psol_ray.training.trainer import Trainer
from psol_ray.work.executor import PartRun
from psol_ray.work.jobs import Job, Parts, Resources, Task
from psol_ray.work.left_out import LeftOut
from psol_ray.work.perform import PartWriter

__all__ = ["one_thread"]

ALONE = InProcess(Resources(1))


class Worker:
    """Writes a box for every image; `measure` is for the driver. Notes what it was asked for."""

    def __init__(self, resources: Resources) -> None:
        self.resources, self.calls, self.closed = resources, list[Any](), 0

    def process(self, task: Task) -> Parts:
        self.calls.append(task.name)
        assert not self.closed
        if task.name == "bad":
            raise UserError("class bad: found nothing of use")
        assert list(task.paths) == [f"/data/{i}.jpg" for i in range(len(task.images))]
        task.progress(len(task.images))
        return Parts(boxes=boxes_of(*(box_row(name, (0, 0, 1, 1)) for name in task.images["image_id"].to_pylist())))

    def measure(self, task: Task, *arguments: Any) -> tuple[Any, ...]:
        self.calls.append((task.name, *arguments))
        task.progress(len(task.images))
        return (task.name, *arguments)

    def close(self) -> None:
        self.closed += 1


MADE_BY = Provenance("boxes", {}, {})


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., tuple[PartRun, list[Worker]]]:
    """A run of these jobs, and the workers that it makes."""

    def run_of(*jobs: Job, **more: Any) -> tuple[PartRun, list[Worker]]:
        workers: list[Worker] = []

        def make_worker(resources: Resources) -> Worker:
            workers.append(Worker(resources))
            return workers[-1]

        stage = RunDir(str(tmp_path)).stage("boxes")
        writer = PartWriter({"boxes": (stage, MADE_BY)})
        settings = {"title": "Boxes", "data_root": "/data", "total": sum(job.cost for job in jobs), **more}
        return PartRun(jobs=jobs, make_worker=make_worker, writer=writer, **settings), workers

    return run_of


def job(name: str, num_images: int = 2, **more: Any) -> Job:
    return Job(name, class_images(["train"] * num_images), **more)


def test_one_worker_does_every_job_and_is_closed(run_of: Any, tmp_path: Path) -> None:
    run, workers = run_of(job("part-a"), job("part-b", 3))
    ALONE.run_parts(run)
    (worker,) = workers
    assert worker.resources == Resources(1)
    assert worker.calls == ["part-a", "part-b"]
    assert worker.closed == 1
    stage = RunDir(str(tmp_path)).stage("boxes")
    assert stage.parts() == ["part-a", "part-b"]
    assert len(stage.read_parts(BOXES)) == 5


def test_jobs_that_follow_come_before_all_others_in_their_order(run_of: Any) -> None:
    def then(answer: Any) -> list[Job]:
        assert answer == ("x 1/2", "argument")
        return [
            job("x 1/2", method="measure", arguments=("again",), then=lambda _: [job("x")], follows=first),
            job("x 2/2", method="measure", arguments=("again",)),
        ]

    first = job("x 1/2", method="measure", arguments=("argument",), then=then)
    run, workers = run_of(first, job("other"))
    ALONE.run_parts(run)
    assert workers[0].calls == [("x 1/2", "argument"), ("x 1/2", "again"), "x", ("x 2/2", "again"), "other"]


def test_a_worker_is_closed_also_after_an_error_which_is_raised(run_of: Any, tmp_path: Path) -> None:
    run, workers = run_of(job("part-a"), job("bad"), job("part-b"))
    with pytest.raises(UserError, match="class bad: found nothing of use"):
        ALONE.run_parts(run)
    assert workers[0].closed == 1
    # What was done is kept, for the run that goes on.
    assert RunDir(str(tmp_path)).stage("boxes").parts() == ["part-a"]
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_images_that_are_away_are_left_out_or_stop_the_run(
    run_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psol_ray.work.perform._PAUSE_SECONDS", 0.0)
    root = tmp_path / "data"
    root.mkdir()
    for i in (0, 2, 3):
        (root / f"{i}.jpg").touch()

    class Opens:
        """Has no more to say of an image than whether it is there."""

        def __init__(self, _: Resources) -> None: ...

        def process(self, task: Task) -> Parts:
            away = [path for path in task.paths if path and not Path(path).exists()]
            if away:
                raise ImagesAway(away, "gone")
            ids = task.images["image_id"].to_pylist()
            box = dict(zip(ids, task.paths, strict=True))
            return Parts(boxes=boxes_of(*(box_row(name, (0, 0, 1, 1) if box[name] else NAN_BOX) for name in ids)))

    run, _ = run_of(job("part-a", 4))
    stage = RunDir(str(tmp_path)).stage("boxes")
    changes = {"make_worker": Opens, "data_root": str(root)}
    with pytest.raises(UserError, match=r"1 of 4 images cannot be opened \(1.jpg: No such file or directory\)"):
        ALONE.run_parts(replace(run, **changes, left_out=LeftOut(stage, 4, max_share=0.2)))
    assert stage.parts() == []
    ALONE.run_parts(replace(run, **changes, left_out=LeftOut(stage, 4, max_share=0.25)))
    assert stage.read_parts(BOXES)["status"].to_pylist() == ["ok", "missing", "ok", "ok"]


def test_a_worker_need_not_have_anything_to_close(run_of: Any, tmp_path: Path) -> None:
    class Plain:
        def __init__(self, _: Resources) -> None: ...

        def process(self, _: Task) -> Parts:
            return Parts(boxes=BOXES.empty_table())

    run, _ = run_of(job("part-a"))
    ALONE.run_parts(PartRun(**{**vars(run), "make_worker": Plain}))
    assert RunDir(str(tmp_path)).stage("boxes").parts() == ["part-a"]


def test_images_of_finished_parts_count_and_every_job_is_described(
    run_of: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = run_of(job("part-a"), job("part-b"), total=10, describe=lambda done: f"finished {done.name}")
    assert run.num_images == 4
    ALONE.run_parts(run)
    line = messages(capsys.readouterr().err)[-1]
    assert line.startswith("Boxes: 10/10 images in ")
    assert line.endswith("finished part-b")


def test_a_worker_is_told_of_the_whole_machine_unless_it_is_told_of_less(run_of: Any) -> None:
    run, workers = run_of(job("part-a"))
    InProcess().run_parts(run)
    resources = workers[0].resources
    assert resources.num_cpus >= 1
    assert resources.memory > 1e8
    assert InProcess().num_workers == 1


def test_sizes_are_those_of_headers_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psol_ray.in_process._FILES_AT_ONCE", 3)
    sizes, _ = write_squares(tmp_path, 7)
    cut_short(tmp_path / "2.png")  # its header is whole
    (tmp_path / "4.png").write_bytes(b"no image")
    names = [f"{i}.png" for i in (6, 5, 4, 3, 2, 1, 0)]
    found = ALONE.read_sizes(str(tmp_path), names)
    assert found.dtype == np.int32
    assert found.tolist() == [[0, 0] if i == 4 else list(sizes[i]) for i in (6, 5, 4, 3, 2, 1, 0)]
    assert ALONE.read_sizes(str(tmp_path), []).shape == (0, 2)


def test_progress_of_the_driver_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    with ALONE.progress("Reading", 8) as progress:
        progress(3)
        progress(8)
    assert messages(capsys.readouterr().err)[-1].startswith("Reading: 8/8 images in ")


def test_a_training_that_was_killed_resumes_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = make_setup(tmp_path, number=4, epochs=3)  # three steps, a checkpoint after each
    step_of, steps = Trainer.step, list[int]()

    def step(self: Trainer, batches: Any) -> None:
        steps.append(len(steps))
        if len(steps) == 3:
            raise KeyboardInterrupt
        step_of(self, batches)

    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr("psol_ray.in_process._num_cpus", lambda: 1)
    with pillow_alone():
        with pytest.raises(KeyboardInterrupt):
            ALONE.train(setup, "Training joint")
        assert setup.stage.read_bytes("model.safetensors") is None
        ALONE.train(setup, "Training joint")
    assert len(steps) == 4  # one of them twice
    assert setup.stage.read_bytes("model.safetensors") is not None
    rows = [json.loads(line) for line in (setup.stage.read_text("metrics.jsonl") or "").splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert messages(capsys.readouterr().err)[-1].startswith("Training joint: 12/12 images in ")
