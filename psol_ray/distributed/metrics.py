"""What Prometheus can read of a run beside Ray's own metrics. Ray puts `ray_` before each name.

The driver alone exports: it knows which job was done once, and what an actor counts is gone with it where it dies.
Labels are the run, its stage, and what is beside them in `_METRICS`: none that has a value a part or a worker.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ray.util import metrics as ray_metrics

from psol_ray.log import Subject, now
from psol_ray.work import standing
from psol_ray.work.counters import Seconds
from psol_ray.work.progress import Snapshot

__all__ = ["NAMES", "PoolMetrics", "TrainingMetrics", "with_progress"]

_ALWAYS = ("run", "stage")
_METRICS: Mapping[str, tuple[type[Any], str, tuple[str, ...]]] = {
    "psol_images_total": (
        ray_metrics.Counter,
        "Images whose rows were written, by status and the node that wrote them",
        ("status", "node"),
    ),
    "psol_decode_wait_seconds_total": (
        ray_metrics.Counter,
        "Seconds that networks have waited for decoded images",
        ("node",),
    ),
    "psol_network_wait_seconds_total": (
        ray_metrics.Counter,
        "Seconds that decoded images have waited for networks",
        ("node",),
    ),
    "psol_parts_done_total": (ray_metrics.Counter, "Jobs done, by the node that did them", ("node",)),
    "psol_retries_total": (ray_metrics.Counter, "Jobs that are done again, because their worker died", ()),
    "psol_worker_deaths_total": (ray_metrics.Counter, "Workers that were found dead, by node", ("node",)),
    "psol_training_restarts_total": (
        ray_metrics.Counter,
        "Times that a training went on from its last checkpoint after a fault",
        (),
    ),
    "psol_parts_waiting": (ray_metrics.Gauge, "Jobs that nobody has begun", ()),
    "psol_parts_running": (ray_metrics.Gauge, "Jobs that workers hold", ()),
    "psol_parts_set_aside": (ray_metrics.Gauge, "Parts that were set aside, because their workers died", ()),
    "psol_workers": (ray_metrics.Gauge, "Workers that have started, by node", ("node",)),
    "psol_progress_images": (ray_metrics.Gauge, "Images done, batch by batch, earlier runs' included", ()),
    "psol_progress_images_wanted": (ray_metrics.Gauge, "Images there are to do, those done included", ()),
    "psol_training_steps": (ray_metrics.Gauge, "Steps done of a training", ()),
}
NAMES = frozenset(_METRICS)
"""All there are, without Ray's prefix."""


@cache
def _metric(name: str) -> Any:
    make, description, labels = _METRICS[name]
    return make(name, description=description, tag_keys=(*_ALWAYS, *labels))


def _count(name: str, subject: Subject, amount: float = 1, **labels: str) -> None:
    if amount > 0:  # Ray takes no other
        _metric(name).inc(amount, {"run": subject.run, "stage": subject.stage, **labels})


def _set(name: str, subject: Subject, value: float, **labels: str) -> None:
    _metric(name).set(value, {"run": subject.run, "stage": subject.stage, **labels})


def _count_waits(subject: Subject, node: str, seconds: Seconds) -> None:
    _count("psol_decode_wait_seconds_total", subject, seconds.decode, node=node)
    _count("psol_network_wait_seconds_total", subject, seconds.network, node=node)


def with_progress(subject: Subject, total: int, read: Callable[[], Snapshot | None]) -> Callable[[], Snapshot | None]:
    """`read`, which also exports what it reads."""

    def read_and_export() -> Snapshot | None:
        snapshot = read()
        if snapshot is not None:
            _set("psol_progress_images", subject, snapshot.done)
            _set("psol_progress_images_wanted", subject, total)
        return snapshot

    return read_and_export


@dataclass
class PoolMetrics:
    """Those of a pool of workers. `node` is the name of a machine; what status shows of it is noted as well."""

    subject: Subject = field(default_factory=Subject)
    _nodes: set[str] = field(default_factory=set)  # that have had workers
    _deaths: int = 0

    def note_done(self, node: str, images: Mapping[str, int]) -> None:
        """A job is done, for the first time."""
        _count("psol_parts_done_total", self.subject, node=node)
        for status, count in images.items():
            _count("psol_images_total", self.subject, count, status=status, node=node)

    def note_waits(self, node: str, waited: Seconds) -> None:
        """A worker has waited, also with what another had done before."""
        _count_waits(self.subject, node, waited)

    def note_death(self, node: str, cause: str) -> None:
        """A worker was found dead; one that had not started is on no node yet."""
        self._deaths += 1
        _count("psol_worker_deaths_total", self.subject, node=node or "unknown")
        standing.note(faults=self._deaths, last_fault=f"{now()} a worker died{f' on {node}' if node else ''}: {cause}")

    def note_retry(self) -> None:
        """A job is done again."""
        _count("psol_retries_total", self.subject)

    def look(self, waiting: int, running: int, set_aside: int, workers: Mapping[str, int]) -> None:
        """How the pool stands; `workers` are those of each node."""
        _set("psol_parts_waiting", self.subject, waiting)
        _set("psol_parts_running", self.subject, running)
        _set("psol_parts_set_aside", self.subject, set_aside)
        for node in self._nodes | workers.keys():
            _set("psol_workers", self.subject, workers.get(node, 0), node=node)
        self._nodes.update(workers)
        standing.note(workers=dict(workers), parts_waiting=waiting, parts_running=running)


@dataclass
class TrainingMetrics:
    """Those of a training: its first worker's waits, its steps and its restarts."""

    subject: Subject
    batch_size: int
    _waited: Seconds = Seconds()
    _restarts: int = 0

    def look(self, done: Snapshot | None, waited: Seconds | None) -> None:
        """How far it is, and how long its first worker has waited in all; None is unknown."""
        if done is not None:
            _set("psol_training_steps", self.subject, done.done // self.batch_size)
        if waited is not None:
            more = Seconds(*(new - old for new, old in zip(waited, self._waited, strict=True)))
            _count_waits(self.subject, "rank 0", more)
            self._waited = waited

    def note_restart(self, why: str) -> None:
        """It goes on after a fault."""
        self._restarts += 1
        _count("psol_training_restarts_total", self.subject)
        standing.note(faults=self._restarts, last_fault=f"{now()} {why}")
