"""How fast a stage was made, over time and by worker, from what its parts say of themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psol_ray.report.charts import Chart, make_chart
from psol_ray.tables.run_dir import StageDir
from psol_ray.tables.written import Written

__all__ = ["Pace", "WorkerPace", "make_pace", "read_written"]

NUM_LISTED = 20


@dataclass(frozen=True)
class WorkerPace:
    """What one process has done; its rate is unknown where it has written one part alone."""

    name: str
    parts: int
    images: int
    images_per_s: float | None


@dataclass(frozen=True)
class Pace:
    """A stage: images by the time, and its workers, the slowest first."""

    stage: str
    summary: str
    chart: Chart | None
    workers: list[WorkerPace]
    num_workers: int


def read_written(stage: StageDir) -> list[tuple[Written, int]]:
    """Who wrote each part, and how many images are in it; nothing of parts that do not say."""
    return [(written, rows) for written, rows in stage.written() if written is not None]


def make_pace(stage: str, written: Sequence[tuple[Written, int]], summary: Mapping[str, Any]) -> Pace | None:
    """Sum up the parts of a stage; None where none says who wrote it.

    Args:
        stage: its name.
        written: see `read_written`.
        summary: what the stage was completed with.
    """
    if not written:
        return None
    parts = sorted(written, key=lambda part: part[0].time)
    start = parts[0][0].time
    points, done = [], 0
    for who, images in parts:
        done += images
        points.append(((who.time - start) / 60, float(done)))
    workers: dict[str, list[tuple[Written, int]]] = {}
    for who, images in parts:
        workers.setdefault(f"{who.host}, process {who.process}", []).append((who, images))
    paces = sorted(
        (_worker(name, own) for name, own in workers.items()),
        key=lambda worker: (worker.images_per_s is None, worker.images_per_s, worker.name),
    )
    chart = make_chart(stage, "images done", "minutes after the first part", points) if points[-1][0] > 0 else None
    return Pace(stage, _summary(summary), chart, paces[:NUM_LISTED], len(paces))


def _worker(name: str, parts: Sequence[tuple[Written, int]]) -> WorkerPace:
    """Of its first part nobody knows when it was begun: the rate is that of the others."""
    seconds = parts[-1][0].time - parts[0][0].time
    rate = sum(images for _, images in parts[1:]) / seconds if seconds > 0 else None
    return WorkerPace(name, len(parts), sum(images for _, images in parts), rate)


def _summary(summary: Mapping[str, Any]) -> str:
    images, seconds, rate = (summary.get(name) for name in ("images", "seconds", "rate"))
    words = f"{images:,} images in {seconds:,} s" if images and seconds else ""
    if isinstance(rate, Mapping) and rate.get("worker_seconds"):
        words += f"; {rate['images'] / rate['worker_seconds']:.3g} images/s a worker on {rate.get('device')}"
    return words
