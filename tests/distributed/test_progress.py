"""Progress that actors report to an actor."""

import threading
import time

import pytest
import ray

from psol_ray.distributed.progress import RemoteTracker, tracked
from psol_ray.work import progress
from psol_ray.work.progress import Snapshot

pytestmark = pytest.mark.usefixtures("cluster")


@ray.remote(num_cpus=0)
def work(tracker: RemoteTracker) -> None:
    """What a worker somewhere on the cluster reports."""
    for images in (10, 20, 5, 20):
        tracker.update("a", images)
    tracker.update("b", 3, "note")


def test_what_workers_report_is_drawn_until_the_tracker_dies(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.1)
    with tracked("Boxes", 100, done=40) as tracker:
        # Of an actor that takes longer to start there is no answer yet.
        ray.get(tracker.actor.snapshot.remote())
        assert tracker.snapshot() == Snapshot(40, 40, "")
        ray.get(work.remote(tracker))
        # Nobody waits for a report to arrive, so the worker may be done before its last one has.
        deadline = time.monotonic() + 30
        while tracker.snapshot() != Snapshot(63, 40, "note"):
            assert time.monotonic() < deadline, tracker.snapshot()
        tracker.reset(50)
        tracker.update("a", 1)
        tracker.set_note("2/3 classes")
        assert tracker.snapshot() == Snapshot(51, 50, "2/3 classes")
    assert "Boxes: 51/100 images in " in capsys.readouterr().err.splitlines()[-1]

    def killed() -> None:
        with tracked("Boxes", 100) as tracker:
            ray.kill(tracker.actor)
            assert tracker.snapshot() is None
            raise FileNotFoundError("x")

    with pytest.raises(FileNotFoundError):
        killed()
    assert "progress" not in {thread.name for thread in threading.enumerate()}
    assert capsys.readouterr().err == ""
