"""Progress of a cluster: workers report to one actor, the driver asks it and draws."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from psol_ray.distributed.metrics import with_progress
from psol_ray.log import Subject, subject
from psol_ray.work.counters import Seconds
from psol_ray.work.progress import ProgressTracker, Snapshot, draw_progress

__all__ = ["RemoteTracker", "tracked"]

_ANSWER_SECONDS = 5


@dataclass(frozen=True)
class RemoteTracker:
    """A `ProgressTracker` in an actor, for anybody on the cluster; nothing waits for it."""

    actor: Any

    def reset(self, earlier: int) -> None:
        """See `ProgressTracker.reset`."""
        self.actor.reset.remote(earlier)

    def update(self, job: str, images: int, note: str = "") -> None:
        """See `ProgressTracker.update`."""
        self.actor.update.remote(job, images, note)

    def finish(self, job: str, images: int) -> None:
        """See `ProgressTracker.finish`."""
        self.actor.finish.remote(job, images)

    def set_note(self, note: str) -> None:
        """See `ProgressTracker.set_note`."""
        self.actor.set_note.remote(note)

    def add_waits(self, seconds: Seconds) -> None:
        """See `ProgressTracker.add_waits`."""
        self.actor.add_waits.remote(seconds)

    def waited(self) -> Seconds | None:
        """See `ProgressTracker.waited`; None from an actor that died or is late."""
        return _ask(self.actor.waited)

    def snapshot(self) -> Snapshot | None:
        """See `ProgressTracker.snapshot`; None from an actor that died or is late."""
        return _ask(self.actor.snapshot)

    def images_done(self) -> Mapping[str, int] | None:
        """See `ProgressTracker.images_done`; None from an actor that died or is late."""
        return _ask(self.actor.images_done)


def _ask(method: Any) -> Any:
    try:
        return ray.get(method.remote(), timeout=_ANSWER_SECONDS)
    except RayError:  # GetTimeoutError among them
        return None


class _Board(ProgressTracker):
    """The tracker that the actor holds; Ray calls it by its run and stage."""

    def __init__(self, earlier: int, subject: Subject) -> None:
        super().__init__(earlier)
        self._subject = subject

    def __repr__(self) -> str:
        return str(self._subject)


@contextmanager
def tracked(title: str, total: int, done: int = 0) -> Iterator[RemoteTracker]:
    """Draw progress for as long as the block runs.

    Args:
        title: what is going on.
        total: images in all.
        done: images that an earlier run has done; they do not count for the rate.

    Yields:
        what workers report to.
    """
    # On the driver's node: on another, it would be gone with that one, and nobody would say how far the others are.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    board = ray.remote(_Board).options(num_cpus=0, scheduling_strategy=here)
    what = subject()
    tracker = RemoteTracker(board.remote(done, replace(what, who="progress")))
    try:
        with draw_progress(title, total, with_progress(what, total, tracker.snapshot)):
            try:
                yield tracker
            except KeyboardInterrupt:
                # Else the last picture would wait for an actor that may not have started yet.
                ray.kill(tracker.actor)
                raise
    finally:
        ray.kill(tracker.actor)
