"""How far jobs are together, and what a log shows of it."""

import threading
import time

import pytest
from synthetic.logs import messages

from psol_ray.work import progress, standing
from psol_ray.work.progress import ProgressTracker, Snapshot, draw_progress


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.05)


def test_a_job_done_twice_counts_once() -> None:
    tracker = ProgressTracker()
    assert tracker.snapshot() == Snapshot(0, 0, "")
    for images in (10, 20, 5, 20):
        tracker.update("a", images)
    tracker.update("b", 3, "note")
    assert tracker.snapshot() == Snapshot(23, 0, "note")
    tracker.update("b", 4)
    assert tracker.snapshot() == Snapshot(24, 0, "note")


def test_a_job_that_is_done_stays_so_though_another_does_it_too() -> None:
    tracker = ProgressTracker()
    tracker.update("a", 5)
    tracker.finish("a", 20)
    tracker.update("a", 7)
    assert tracker.snapshot() == Snapshot(20, 0, "")
    tracker.reset(0)
    tracker.update("a", 7)
    assert tracker.snapshot() == Snapshot(7, 0, "")


def test_after_a_reset_only_what_an_earlier_run_did_is_known() -> None:
    tracker = ProgressTracker(7)
    tracker.update("b", 3, "note")
    assert tracker.snapshot() == Snapshot(10, 7, "note")
    tracker.reset(50)
    tracker.update("a", 1)
    tracker.set_note("2/3 classes")
    assert tracker.snapshot() == Snapshot(51, 50, "2/3 classes")


def test_a_log_gets_whole_lines_and_none_before_there_is_news(capsys: pytest.CaptureFixture[str]) -> None:
    tracker = ProgressTracker()
    with draw_progress("Training " + "x" * 100, 1000, tracker.snapshot):
        time.sleep(0.2)
        assert capsys.readouterr().err == ""
        tracker.update("a", 300)
        time.sleep(0.05)
        tracker.update("a", 400, "loss [1.5]")
        time.sleep(0.2)
    lines = [line for line in messages(capsys.readouterr().err) if "400/" in line]
    assert len(lines) >= 2
    assert all(line.startswith("Training xxx") and "400/1,000 images" in line for line in lines)
    assert all(line.endswith("loss [1.5]") for line in lines)
    assert " s left " in lines[0]
    assert " in " in lines[-1]


def test_work_of_an_earlier_run_is_shown_and_not_timed(capsys: pytest.CaptureFixture[str]) -> None:
    tracker = ProgressTracker(90)
    with draw_progress("Boxes", 100, tracker.snapshot):
        tracker.update("a", 10)
        time.sleep(0.05)
    line = messages(capsys.readouterr().err)[-1]
    rate = float(line.split(", ")[1].removesuffix(" images/s"))
    assert line.startswith("Boxes: 100/100 images in ")
    assert rate < 300  # 10 images in 0.05 s or more would be 200; with the earlier ones 2,000


def test_a_log_says_where_nothing_comes_also_before_the_first_image(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.1)
    tracker = ProgressTracker(50)
    with draw_progress("Boxes", 100, tracker.snapshot):
        time.sleep(0.3)
        assert "Boxes: 50/100 images, nothing yet for 0 s" in messages(capsys.readouterr().err)
        tracker.update("a", 10)
        time.sleep(0.3)
        assert messages(capsys.readouterr().err)[-1] == "Boxes: 60/100 images, nothing new for 0 s"
    assert standing.facts()["images"] == 60


def test_a_tracker_that_does_not_answer_costs_the_picture_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with draw_progress("Boxes", 100, lambda: None):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_leaves_no_thread_and_hides_no_error() -> None:
    with pytest.raises(FileNotFoundError, match="x"), draw_progress("Boxes", 100, ProgressTracker().snapshot):
        raise FileNotFoundError("x")
    assert "progress" not in {thread.name for thread in threading.enumerate()}
