"""One run of the real pool on simulated GPUs: its actors, what befalls them, what it took, and how far from ideal."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import ray
from ray.cluster_utils import Cluster
from simulated_gpu import FULL, SimulatedLocator, Spread, class_sizes, class_table, list_seconds

from psol_ray.distributed import pool
from psol_ray.distributed.jobs import Job
from psol_ray.distributed.locate import JOBS_AN_ACTOR
from psol_ray.distributed.pool import run_pool
from psol_ray.distributed.progress import show_progress
from psol_ray.distributed.split import jobs_of_class
from psol_ray.tables import RunDir, StageDir

__all__ = ["Bench", "Json", "Plan", "Trouble"]

Json = dict[str, Any]


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


@dataclass
class Meter:
    """What the pool's steps took, and when it found an actor dead."""

    steps: int = 0
    step_s: float = 0.0
    wait_s: float = 0.0
    found_dead: list[float] = field(default_factory=list)

    @contextmanager
    def read(self) -> Iterator[None]:
        """Measure every pool that runs inside the block."""
        step, wait, bury = pool._Pool.step, ray.wait, pool._Pool._bury

        def timed_step(self_: Any) -> None:
            started = time.perf_counter()
            step(self_)
            self.step_s += time.perf_counter() - started
            self.steps += 1

        def timed_wait(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            found = wait(*arguments, **options)
            self.wait_s += time.perf_counter() - started
            return found

        def timed_bury(*arguments: Any) -> None:
            self.found_dead.append(time.time())
            bury(*arguments)

        with (
            patch.object(pool._Pool, "step", timed_step),
            patch.object(pool.ray, "wait", timed_wait),
            patch.object(pool._Pool, "_bury", timed_bury),
        ):
            yield


@dataclass(frozen=True)
class Trouble:
    """What befalls a run: when, as shares of its ideal makespan, and what is done then to its processes."""

    at: Sequence[float] = ()
    strike: Callable[[list[int]], None] | None = None
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
        fair_share = sum(map(len, tables.values())) / num_actors
        jobs = [job for part, table in tables.items() for job in jobs_of_class(part, table, fair_share)]
        stage = self.runs_dir.stage(f"{next(self._count):02d}")
        bound_s = list_seconds(list(device_s.values()), self.plan.boxes_share, slowdowns)
        meter = Meter()
        with show_progress(f"{kind}, {num_actors} GPUs", sum(map(len, tables.values()))) as board, meter.read():
            troop = Troop(ray.put(device_s), self.plan.boxes_share, slowdowns, stage, board)
            run = _drive(troop, jobs, trouble, sum(device_s.values()))
        return {"kind": kind, "actors": num_actors, "classes": num_classes, "bound_s": bound_s} | _judge(
            run, meter, device_s, stage, slowdowns, trouble
        )


class Troop:
    """Actors that are there before the run counts, and those that take the places of the dead."""

    def __init__(
        self, device_s: ray.ObjectRef, boxes_share: float, slowdowns: Sequence[float], stage: StageDir, board: Any
    ) -> None:
        actor = ray.remote(num_cpus=1, num_gpus=1, max_concurrency=JOBS_AN_ACTOR)(SimulatedLocator)
        self._start = lambda slowdown: actor.remote(device_s, boxes_share, slowdown, stage, board)
        self._ready = [self._start(slowdown) for slowdown in slowdowns]
        self.pids: list[int] = ray.get([actor.pid.remote() for actor in self._ready])
        self.size = len(self.pids)

    def take(self) -> Any:
        """One that is ready, or a new one."""
        return self._ready.pop(0) if self._ready else self._start(1.0)


@dataclass
class Run:
    """When it went from when to when, in seconds since 1970, what hit it, and what the driver spent."""

    started: float
    ended: float = 0.0
    struck: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


def _drive(troop: Troop, jobs: Sequence[Job], trouble: Trouble, device_s: float) -> Run:
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
        run_pool(troop.take, troop.size, jobs, jobs_an_actor=JOBS_AN_ACTOR, on_done=count)
    finally:
        over.set()
        thread.join()
    run.cpu_s = time.process_time() - cpu_s
    return run


def _judge(
    run: Run, meter: Meter, device_s: dict[str, float], stage: StageDir, slowdowns: Sequence[float], trouble: Trouble
) -> Json:
    parts = _read_parts(stage, device_s)
    makespan_s, capacity = run.ended - run.started, sum(1 / slowdown for slowdown in slowdowns)
    planned_s = sum(device_s.values())
    ideal_s = _ideal(planned_s, capacity, trouble.gpus_lost, [at - run.started for at in run.struck])
    return {
        "device_s": planned_s,
        "makespan_s": makespan_s,
        "ideal_s": ideal_s,
        "efficiency": ideal_s / makespan_s,
        "device_overrun": None if trouble.slow else sum(p["stopped"] - p["started"] for p in parts) / planned_s - 1,
        "parts": len(parts),
        "struck_at_s": [at - run.started for at in run.struck],
        "found_dead_at_s": [at - run.started for at in meter.found_dead],
        "driver_cpu_ms_a_class": 1e3 * run.cpu_s / len(device_s),
        "driver_wall_ms_a_class": 1e3 * (meter.step_s - meter.wait_s) / len(device_s),
        "driver_busy": (meter.step_s - meter.wait_s) / makespan_s,
        "steps": meter.steps,
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
