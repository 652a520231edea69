"""One run of the real pool on simulated GPUs: its actors, what befalls them, what it took, and how far from ideal."""

import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import pyarrow as pa
import ray
from ray.cluster_utils import Cluster
from result import Json
from simulated_gpu import FULL, SimulatedWorker, Spread, class_sizes, class_table, list_seconds

from psol_ray.distributed.actor import PartActor
from psol_ray.distributed.cluster import plan_workers
from psol_ray.distributed.executor import jobs_per_worker
from psol_ray.distributed.pool import PoolStats, run_pool
from psol_ray.distributed.progress import RemoteTracker, tracked
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.generators.ddt.generator import Ddt
from psol_ray.generators.ddt.split import jobs_of_class
from psol_ray.tables import Provenance, RunDir, StageDir
from psol_ray.work.jobs import Job, Resources
from psol_ray.work.perform import PartWriter

__all__ = ["Bench", "Plan", "Trouble"]


@dataclass(frozen=True)
class Plan:
    """What is simulated."""

    nodes: int
    gpus_a_node: int
    strong: Sequence[int]  # actors, each on all classes
    few: Sequence[int]  # actors that would take too long for all of them
    weak: Sequence[int]
    classes: int
    classes_an_actor: int  # weak scaling
    full_class_s: float  # device seconds of a class of 1,300
    killed: int
    slowdown: float = 3.0
    boxes_share: float = 0.2  # CPU seconds after a device second; 0.07 ms an image were measured on one core

    @property
    def gpus(self) -> int:
        return self.nodes * self.gpus_a_node

    @property
    def images_per_s(self) -> float:
        return FULL / self.full_class_s


@dataclass(frozen=True)
class Trouble:
    """What befalls a run: when, as shares of its ideal makespan, and what is done then to its processes."""

    at: Sequence[float] = ()
    strike: Callable[[list[int]], None] = lambda _: None
    gpus_lost: int = 0  # for good, at each strike
    slow: int = 0  # actors


@cache
def _table(index: int) -> pa.Table:
    """Rows of a class; beyond ImageNet's thousand they begin again."""
    sizes = class_sizes()
    return class_table(index, sizes[index % len(sizes)])


@dataclass
class Bench:
    """The cluster, and the classes with their device seconds."""

    plan: Plan
    spread: Spread
    cluster: Cluster
    runs_dir: RunDir
    _count: Iterator[int] = field(default_factory=itertools.count)

    def run(
        self, kind: str, num_actors: int, num_classes: int, trouble: Trouble | None = None, scale: float = 1
    ) -> Json:
        """One run of the pool; `scale` times as long on the devices."""
        trouble = trouble or Trouble()
        tables = {f"part-{index:04d}": _table(index) for index in range(num_classes)}
        device_s = {
            part: scale * self.spread.seconds(len(table), self.plan.images_per_s, index)
            for index, (part, table) in enumerate(tables.items())
        }
        slowdowns = [self.plan.slowdown] * trouble.slow + [1.0] * (num_actors - trouble.slow)
        num_images = sum(map(len, tables.values()))
        jobs = [job for part, table in tables.items() for job in jobs_of_class(part, table, num_images / num_actors)]
        stage = self.runs_dir.stage(f"{next(self._count):02d}")
        bound_s = list_seconds(list(device_s.values()), self.plan.boxes_share, slowdowns)
        with tracked(f"{kind}, {num_actors} GPUs", num_images) as tracker:
            make_worker = partial(SimulatedWorker, device_s, self.plan.boxes_share)
            troop = Troop(make_worker, slowdowns, PartWriter({"boxes": (stage, Provenance("boxes", {}, {}))}), tracker)
            run = _drive(troop, jobs, trouble, sum(device_s.values()))
        return {"kind": kind, "actors": num_actors, "classes": num_classes, "bound_s": bound_s} | _judge(
            run, device_s, stage, slowdowns, trouble
        )


class Troop:
    """Actors that are there before the run counts, and those that take the places of the dead."""

    def __init__(
        self, make_worker: Callable[..., Any], slowdowns: Sequence[float], writer: PartWriter, tracker: RemoteTracker
    ) -> None:
        self._actor = ray.remote(PartActor).options(num_cpus=1, num_gpus=1, max_concurrency=Ddt.concurrency)
        self._makers = {slowdown: ray.put(partial(make_worker, slowdown)) for slowdown in {1.0, *slowdowns}}
        self._writer, self._tracker = writer, tracker
        self._ready = [self._start(slowdown) for slowdown in slowdowns]
        self.pids: list[int] = ray.get([actor.__ray_call__.remote(lambda _: os.getpid()) for actor in self._ready])
        self.size = len(self.pids)

    def _start(self, slowdown: float) -> Any:
        return self._actor.remote(self._makers[slowdown], Resources(1, 0), "/data", self._writer, self._tracker)

    def take(self, *_: Any, **__: Any) -> Any:
        """One that is ready, or a new one; nodes are alike."""
        return self._ready.pop(0) if self._ready else self._start(1.0)


@dataclass
class Run:
    """When it went from when to when, in seconds since 1970, what hit it, and what the driver spent."""

    started: float
    ended: float = 0.0
    struck: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    stats: PoolStats = field(default_factory=PoolStats)


def _drive(troop: Troop, jobs: Sequence[Job], trouble: Trouble, device_s: float) -> Run:
    plan = plan_workers(ClusterConfig(workers=troop.size))
    run, over = Run(time.time()), threading.Event()

    def strike() -> None:
        for share in trouble.at:
            if over.wait(max(0.0, run.started + share * device_s / troop.size - time.time())):
                return
            run.struck.append(time.time())
            trouble.strike(troop.pids)

    def count(_: Job) -> None:
        run.ended = time.time()

    thread = threading.Thread(target=strike, daemon=True)
    thread.start()
    cpu_s = time.process_time()
    try:
        run_pool(
            troop.take, plan, jobs, jobs_per_worker=jobs_per_worker(Ddt.concurrency), on_done=count, stats=run.stats
        )
    finally:
        over.set()
        thread.join()
    run.cpu_s = time.process_time() - cpu_s
    return run


def _judge(run: Run, device_s: dict[str, float], stage: StageDir, slowdowns: Sequence[float], trouble: Trouble) -> Json:
    parts = _read_parts(stage, device_s)
    makespan_s, capacity = run.ended - run.started, sum(1 / slowdown for slowdown in slowdowns)
    planned_s = sum(device_s.values())
    ideal_s = _ideal(planned_s, capacity, trouble.gpus_lost, [at - run.started for at in run.struck])
    driver_s = run.stats.seconds - run.stats.seconds_waiting
    return {
        "device_s": planned_s,
        "makespan_s": makespan_s,
        "ideal_s": ideal_s,
        "efficiency": ideal_s / makespan_s,
        "device_overrun": None if trouble.slow else sum(p["stopped"] - p["started"] for p in parts) / planned_s - 1,
        "parts": len(parts),
        "struck_at_s": [at - run.started for at in run.struck],
        "found_dead_at_s": [at - run.started for at in run.stats.lost_at],
        "speculative_jobs": run.stats.speculative_jobs,
        "driver_cpu_ms_a_class": 1e3 * run.cpu_s / len(device_s),
        "driver_wall_ms_a_class": 1e3 * driver_s / len(device_s),
        "driver_busy": driver_s / makespan_s,
        "steps": run.stats.steps,
    }


def _read_parts(stage: StageDir, expected: dict[str, float]) -> list[Json]:
    """What the parts say of themselves; raises where one is missing, twice there, or empty."""
    schema = pa.schema(
        {"part": pa.string(), "images": pa.int64(), "pid": pa.int64(), "started": pa.float64(), "stopped": pa.float64()}
    )
    rows = stage.read_parts(schema).to_pylist()
    times = Counter(row["part"] for row in rows)
    if stage.parts() != sorted(expected) or times != Counter(expected.keys()):
        raise SystemExit(f"{stage.path}: {len(expected)} parts were expected, each once; found {len(rows)}")
    return rows


def _ideal(device_s: float, capacity: float, lost: int, struck: Sequence[float]) -> float:
    """Makespan of `capacity` GPUs that are never idle, `lost` of them gone for good at each stroke."""
    since = 0.0
    for at in struck if lost else ():
        device_s -= capacity * (at - since)
        since, capacity = at, capacity - lost
    return since + device_s / capacity
