"""How the dispatcher of `psol boxes` scales: the real one, over Ray, with GPUs that sleep.

    python benchmarks/ddt_scaling.py --measured throughput.json --out scaling.json

ImageNet's classes, each as long on its device as a measured spread of batch times says, at a simulated rate; nodes of
`ray.cluster_utils.Cluster`; pool, jobs, board and part files as in a run. A run counts from when all its actors are
ready until the last part is there. Its ideal is the sum of the device seconds over the GPUs: no dispatcher reaches it,
because classes are whole. `bound` is what it could reach: whole classes handed out, the longest first, by a driver that
takes no time.
"""

import argparse
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import ray
import simulated_gpu
from ray.cluster_utils import Cluster
from result import print_table, write_result
from simulated_gpu import FULL, NUM_IMAGES, SimulatedLocator, Spread, class_sizes, class_table, list_seconds

sys.path.insert(0, str(Path(__file__).parents[1]))

from psol_ray.config import ClusterConfig
from psol_ray.distributed import pool
from psol_ray.distributed.cluster import plan_workers
from psol_ray.distributed.jobs import Job
from psol_ray.distributed.locate import JOBS_AN_ACTOR
from psol_ray.distributed.pool import run_pool
from psol_ray.distributed.progress import show_progress
from psol_ray.distributed.split import jobs_of_class
from psol_ray.tables import RunDir, StageDir

# Workers need not find the benchmarks' folder.
ray.cloudpickle.register_pickle_by_value(simulated_gpu)

SEED = 0
# VGG16's convolutions at 448 × 448: 61.4 G multiply-adds an image. An H200: 989 TFLOP/s in bfloat16, says its maker.
H200_CEILING = 989e12 / (2 * 61.4e9)
TARGET_EFFICIENCY, TARGET_DRIVER_MS = 0.97, 5.0

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


FULL_PLAN = Plan(4, 16, (16, 64), (1,), (1, 8, 32), 1000, 16, 1.0, killed=4)
SMOKE_PLAN = Plan(2, 2, (2, 4), (1,), (1, 4), 40, 4, 0.25, killed=1)


def main() -> None:
    """Start a cluster once, run everything on it, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument(
        "--measured", help="result of ddt_throughput.py: rate and spread; without it, batches of 5 %% spread"
    )
    parser.add_argument(
        "--images-per-s", type=float, help="rate of a GPU that the projection assumes, if not the measured"
    )
    parser.add_argument("--full-class-s", type=float, help="simulated device seconds of a class of 1,300 images")
    parser.add_argument("--smoke", action="store_true", help="2 nodes of 2 GPUs, 40 classes")
    arguments = parser.parse_args()
    plan = SMOKE_PLAN if arguments.smoke else FULL_PLAN
    if arguments.full_class_s:
        plan = Plan(**{**vars(plan), "full_class_s": arguments.full_class_s})
    measured = json.loads(Path(arguments.measured).read_text()) if arguments.measured else {}
    rate = arguments.images_per_s or measured.get("metrics", {}).get("engine_images_per_s")
    runs: list[Json] = []
    with simulated_cluster(plan) as cluster, tempfile.TemporaryDirectory() as folder:
        bench = Bench(plan, _spread(measured), cluster, RunDir(folder))
        with redirect_stdout(sys.stderr):  # Ray's words on the processes that are killed
            for run in _run_all(bench):
                runs.append(run)
                # Each time: the whole takes half an hour, and an interrupted one shall not be lost.
                write_result(arguments.out, _params(plan, arguments, bench.spread, measured), _metrics(runs, rate))
    _print(_metrics(runs, rate))


def _spread(measured: Json) -> Spread:
    seconds_B = np.array(measured.get("metrics", {}).get("batch_seconds", []), float)
    if not len(seconds_B):
        return Spread(np.random.default_rng(SEED).normal(1, 0.05, 1000), 32)
    return Spread(seconds_B / seconds_B.mean(), int(measured.get("params", {}).get("batch_size", 32)))


@contextmanager
def simulated_cluster(plan: Plan) -> Iterator[Cluster]:
    """A head without GPUs, where the driver is, and nodes of `num_gpus`, which are only a number."""
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    # On two cores, dozens of processes that start at once take longer than Ray waits for one.
    head = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 500 << 20, "include_dashboard": False}
    head["_system_config"] = {"worker_register_timeout_seconds": 600}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(plan.nodes):
            cluster.add_node(
                wait=False, num_cpus=plan.gpus_a_node, num_gpus=plan.gpus_a_node, object_store_memory=100 << 20
            )
        cluster.wait_for_nodes(300)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


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


def _run_all(bench: Bench) -> Iterator[Json]:
    plan, largest = bench.plan, bench.plan.strong[-1]
    if (gpus := plan_workers(ClusterConfig()).num_workers) != plan.gpus:
        raise SystemExit(f"the simulated cluster has {gpus} GPUs, {plan.gpus} were wanted")
    yield _told(bench.run("machine's limit", largest, plan.classes, scale=1e-3))
    few = plan.classes_an_actor * max(plan.few)
    for num_actors in plan.few:
        yield _told(bench.run("strong", num_actors, few))
    for num_actors in plan.strong:
        yield _told(bench.run("strong", num_actors, plan.classes))
    for num_actors in plan.weak:
        yield _told(bench.run("weak", num_actors, plan.classes_an_actor * num_actors))
    yield _told(bench.run("straggler", largest, plan.classes, Trouble(slow=1)))
    yield _told(bench.run("killed", largest, plan.classes, _killing(plan)))
    yield _told(bench.run("node lost", largest, plan.classes, _removing(bench.cluster, plan)))


def _told(run: Json) -> Json:
    """Print a line to stderr: the whole takes long."""
    print(
        f"{run['kind']}: {run['classes']} classes, {run['actors']} GPUs, {run['makespan_s']:.2f} s,"
        f" {run['efficiency']:.1%} of the ideal, driver {run['driver_cpu_ms_a_class']:.2f} ms a class",
        file=sys.stderr,
        flush=True,
    )
    return run


def _killing(plan: Plan) -> Trouble:
    rng = random.Random(SEED)

    def strike(pids: list[int]) -> None:
        os.kill(pids.pop(rng.randrange(len(pids))), signal.SIGKILL)

    return Trouble(sorted(rng.uniform(0.1, 0.7) for _ in range(plan.killed)), strike)


def _removing(cluster: Cluster, plan: Plan) -> Trouble:
    def strike(_: list[int]) -> None:
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    return Trouble([0.3], strike, gpus_lost=plan.gpus_a_node)


def _metrics(runs: list[Json], rate: float | None) -> Json:
    limit, top = runs[0], max(runs, key=lambda run: (run["kind"] == "strong", run["actors"]))
    return {
        "efficiency_of_most": top["efficiency"],
        "bound_efficiency_of_most": top["ideal_s"] / top["bound_s"],
        "target_efficiency": TARGET_EFFICIENCY,
        "driver_cpu_ms_a_class": top["driver_cpu_ms_a_class"],
        "driver_wall_ms_a_class": top["driver_wall_ms_a_class"],
        "target_driver_ms_a_class": TARGET_DRIVER_MS,
        "machine_limit_classes_per_s": limit["classes"] / limit["makespan_s"],
        "asked_classes_per_s": top["classes"] / top["ideal_s"],
        "runs": runs,
        "projection": _projection(top["efficiency"], rate),
    }


def _projection(efficiency: float, rate: float | None) -> list[Json]:
    """Nobody has run this: ImageNet's images over a rate, times the efficiency measured on sleeping GPUs."""
    rates = {"given or measured": rate, "arithmetic of an H200, a ceiling": H200_CEILING}
    return [
        {
            "projection": name,
            "images_per_s_a_gpu": a_second,
            "gpus": gpus,
            "minutes": NUM_IMAGES / (a_second * gpus * (efficiency if gpus > 1 else 1.0)) / 60,
        }
        for name, a_second in rates.items()
        if a_second
        for gpus in (1, 8, 64)
    ]


def _params(plan: Plan, arguments: argparse.Namespace, spread: Spread, measured: Json) -> Json:
    return {
        "benchmark": "ddt_scaling",
        "smoke": arguments.smoke,
        "simulated": "GPUs sleep; nodes are raylets on one machine; jobs, pool, board and part files are real",
        "nodes": plan.nodes,
        "gpus_a_node": plan.gpus_a_node,
        "simulated_images_per_s": plan.images_per_s,
        "device_s_of_1300_images": plan.full_class_s,
        "boxes_share": plan.boxes_share,
        "classes_of_few_actors": plan.classes_an_actor * max(plan.few),
        "few_actors": list(plan.few),
        "classes_an_actor_weak": plan.classes_an_actor,
        "killed": plan.killed,
        "straggler_slowdown": plan.slowdown,
        "jobs_an_actor": JOBS_AN_ACTOR,
        "seed": SEED,
        "batch_spread": "measured" if measured else "assumed, normal",
        "batch_spread_std": float(spread.factors_B.std()),
        "batch_size": spread.batch_size,
    }


def _print(metrics: Json) -> None:
    print_table(
        [
            {
                "run": run["kind"],
                "GPUs": run["actors"],
                "classes": run["classes"],
                "makespan, s": run["makespan_s"],
                "ideal, s": run["ideal_s"],
                "efficiency, %": 100 * run["efficiency"],
                "bound, %": 100 * run["ideal_s"] / run["bound_s"] if not run["struck_at_s"] else "-",
                "driver CPU, ms a class": run["driver_cpu_ms_a_class"],
                "driver outside ray.wait, ms a class": run["driver_wall_ms_a_class"],
            }
            for run in metrics["runs"]
        ]
    )
    print()
    print_table(metrics["projection"])


if __name__ == "__main__":
    main()
