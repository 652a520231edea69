"""How the dispatcher of `psol boxes` scales: the real one, over Ray, with GPUs that sleep.

    python benchmarks/ddt_scaling.py --measured throughput.json --out scaling.json

ImageNet's classes, each as long on its device as a measured spread of batch times says, at a simulated rate; nodes of
`ray.cluster_utils.Cluster`; pool, jobs, progress and part files as in a run. A run counts from when all its actors are
ready until the last part is there. Its ideal is the sum of the device seconds over the GPUs: no dispatcher reaches it,
because classes are whole. `bound` is what it could reach: whole classes handed out, the longest first, by a driver that
takes no time.
"""

import argparse
import json
import logging
import os
import random
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import ray
import simulated_gpu
from ray.cluster_utils import Cluster
from result import Json, print_table, write_result
from simulated_gpu import NUM_IMAGES, Spread
from simulated_runs import Bench, Plan, Trouble

from psol_ray.distributed.cluster import plan_workers
from psol_ray.distributed.executor import jobs_per_worker
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.generators.ddt.generator import Ddt
from psol_ray.tables import RunDir

# Workers need not find the benchmarks' folder.
ray.cloudpickle.register_pickle_by_value(simulated_gpu)

SEED = 0
# VGG16's convolutions at 448 × 448: 61.4 G multiply-adds an image. An H200: 989 TFLOP/s in bfloat16, says its maker.
H200_CEILING = 989e12 / (2 * 61.4e9)
TARGET_EFFICIENCY, TARGET_DRIVER_MS = 0.97, 5.0

FULL_PLAN = Plan(4, 16, (16, 64), (1,), (1, 8, 32), 1000, 16, 1.0, killed=4)
SMOKE_PLAN = Plan(2, 1, (2,), (1,), (1,), 20, 4, 0.1, killed=1)


def main() -> None:
    """Start a cluster once, run everything on it, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument(
        "--measured", help="result of ddt_throughput.py: rate and spread; without it, batches of 5 %% spread"
    )
    parser.add_argument(
        "--class-seconds",
        type=float,
        help="of a device, for 1,300 images; more where the machine's limit is less than twice what 64 GPUs ask for",
    )
    parser.add_argument("--smoke", action="store_true", help="2 nodes of a GPU, 20 classes")
    arguments = parser.parse_args()
    plan = SMOKE_PLAN if arguments.smoke else FULL_PLAN
    plan = replace(plan, full_class_s=arguments.class_seconds or plan.full_class_s)
    measured = json.loads(Path(arguments.measured).read_text()) if arguments.measured else {}
    rate = measured.get("metrics", {}).get("engine_images_per_s")
    runs: list[Json] = []
    # The folder goes last: an actor whose class another one took over may still be writing.
    with tempfile.TemporaryDirectory() as folder, simulated_cluster(plan) as cluster:
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
    head: Json = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 500 << 20, "include_dashboard": False}
    head["_system_config"] = {"worker_register_timeout_seconds": 600}
    cluster = _start(head)
    try:
        for _ in range(plan.nodes):
            cluster.add_node(
                wait=False, num_cpus=plan.gpus_a_node, num_gpus=plan.gpus_a_node, object_store_memory=100 << 20
            )
        cluster.wait_for_nodes(300)
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def _start(head: Json) -> Cluster:
    """A head; on a machine that is busy Ray takes more than the 30 s that it gives itself."""
    for attempts_left in reversed(range(3)):
        try:
            return Cluster(initialize_head=True, head_node_args=head)
        except Exception:  # Ray raises that class itself where a node is late
            if not attempts_left:
                raise
    raise AssertionError


def _run_all(bench: Bench) -> Iterator[Json]:
    plan, largest = bench.plan, bench.plan.strong[-1]
    if (gpus := plan_workers(ClusterConfig()).num_workers) != plan.gpus:
        raise SystemExit(f"the simulated cluster has {gpus} GPUs, {plan.gpus} were wanted")
    yield _printed(bench.run("machine's limit", largest, plan.classes, scale=1e-3))
    few = plan.classes_an_actor * max(plan.few)
    for num_actors in plan.few:
        yield _printed(bench.run("strong", num_actors, few))
    for num_actors in plan.strong:
        yield _printed(bench.run("strong", num_actors, plan.classes))
    for num_actors in plan.weak:
        yield _printed(bench.run("weak", num_actors, plan.classes_an_actor * num_actors))
    yield _printed(bench.run("straggler", largest, plan.classes, Trouble(slow=1)))
    yield _printed(bench.run("killed", largest, plan.classes, _killing(plan)))
    yield _printed(bench.run("node lost", largest, plan.classes, _removing(bench.cluster, plan)))


def _printed(run: Json) -> Json:
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
        "jobs_an_actor": jobs_per_worker(Ddt.concurrency),
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
