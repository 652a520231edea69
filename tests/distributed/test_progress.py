"""What a log shows."""

import threading
import time
from pathlib import Path

import pytest
import ray

from psol_ray.distributed import progress
from psol_ray.distributed.progress import Snapshot, show_progress

pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.1)


def test_a_log_gets_whole_lines_and_none_before_there_is_news(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("Training " + "x" * 100, 1000) as board:
        ray.get(board.snapshot.remote())
        time.sleep(0.5)
        assert capsys.readouterr().err == ""
        ray.get(board.set.remote("a", 400, "loss [1.5]"))
        time.sleep(0.5)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("Training xxx") and "400/1,000 images" in line for line in lines)
    assert all(line.endswith("loss [1.5]") for line in lines)


def test_work_of_an_earlier_run_is_shown_and_not_timed(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("Boxes", 100, done=90) as board:
        ray.get(board.set.remote("a", 10))
    line = capsys.readouterr().err.splitlines()[-1]
    rate = float(line.split(", ")[1].removesuffix(" images/s"))
    assert line.startswith("Boxes: 100/100 images in ")
    assert rate < 1000  # 10 images in 0.05 s or more would be 200; with the earlier ones 2,000


def test_a_job_done_twice_counts_once() -> None:
    with show_progress("Boxes", 100) as board:
        for images in (10, 20, 5, 20):
            board.set.remote("a", images)
        board.set.remote("b", 3, "note")
        assert ray.get(board.snapshot.remote()) == Snapshot(23, 0, "note")
        board.resume.remote(50)
        board.set.remote("a", 1)
        board.tell.remote("2/3 classes")
        assert ray.get(board.snapshot.remote()) == Snapshot(51, 50, "2/3 classes")


def test_leaves_no_thread_and_hides_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with show_progress("Boxes", 100) as board:
            ray.kill(board)
            raise FileNotFoundError(str(Path("x")))

    with pytest.raises(FileNotFoundError):
        work()
    assert "progress" not in {thread.name for thread in threading.enumerate()}
    assert capsys.readouterr().err == ""
