"""A driver of its own, because a process can be connected to one cluster only: run by test_growth, prints JSON."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from psol_ray.distributed.cluster import WorkerPlan, find_nodes, plan_workers
from psol_ray.distributed.connection import connect
from psol_ray.distributed.pool import PoolStats, run_pool
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.distributed.slots import scheduling_strategy
from psol_ray.work.jobs import Job, Resources
from tests.distributed.autoscaled import autoscaled_cluster, kill_tree

_PATIENCE_SECONDS = 180


class Visitor:
    """Writes where it is and what it has, and is busy until workers are on so many nodes."""

    def __init__(self, folder: Path, resources: Resources) -> None:
        node_id = ray.get_runtime_context().get_node_id()
        self._folder = folder
        (folder / f"{node_id}-{os.getpid()}").write_text(str(resources.num_cpus))

    def run(self, method: str, name: str, packed: bytes, num_nodes: int, *, careful: bool = False) -> None:
        assert (method, name[:3]) == ("process", "job")
        assert isinstance(careful, bool)
        assert packed
        until = time.monotonic() + _PATIENCE_SECONDS
        while len({path.name.split("-")[0] for path in self._folder.iterdir()}) < num_nodes:
            assert time.monotonic() < until, "no node has joined"
            time.sleep(0.1)
        # Others begin before this one takes all there is.
        time.sleep(1)


def run(plan: WorkerPlan, folder: Path, num_jobs: int, num_nodes: int, on_done: Any = None) -> dict[str, Any]:
    """The CPUs of the workers of each node, and what happened."""
    folder.mkdir()
    actor = ray.remote(Visitor)

    def start(resources: Resources, node_id: str | None) -> Any:
        placed = actor.options(
            num_cpus=resources.num_cpus, num_gpus=1, scheduling_strategy=scheduling_strategy(node_id)
        )
        return placed.remote(folder, resources)

    images = pa.table({"image_id": ["a"]})
    jobs = [Job(f"job {i}", images, arguments=(num_nodes,)) for i in range(num_jobs)]
    stats = PoolStats()
    run_pool(start, plan, jobs, on_done=on_done, stats=stats)
    cpus: dict[str, list[int]] = {}
    for path in folder.iterdir():
        cpus.setdefault(path.name.split("-")[0], []).append(int(path.read_text()))
    return {"cpus": sorted(sorted(of_node) for of_node in cpus.values()), "done": stats.jobs_done}


def main(folder: Path) -> None:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    types = {"large": {"CPU": 4, "GPU": 1}, "small": {"CPU": 3, "GPU": 2}}
    found: dict[str, Any] = {}
    with autoscaled_cluster(folder, types) as cluster:
        config = ClusterConfig(address=cluster.address, workers=3)
        connect(config)
        plan = plan_workers(config)
        found["at first"] = [plan.num_workers, plan.num_gpus, sum(share.num_workers for share in plan.shares)]
        found["asked for"] = run(plan, folder / "asked", num_jobs=6, num_nodes=2)

        everything = plan_workers(ClusterConfig())
        found["then"] = [everything.num_workers, everything.resources()]
        stranger = cluster.add_node(num_cpus=2, num_gpus=1)
        killed = []

        def kill_stranger(_: Job) -> None:
            if not killed:
                killed.append(stranger)
                kill_tree(stranger)

        found["unasked"] = run(everything, folder / "unasked", num_jobs=12, num_nodes=3, on_done=kill_stranger)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(find_nodes()) > 2 and time.monotonic() < deadline:
            time.sleep(0.5)
        found["in the end"] = plan_workers(ClusterConfig()).num_workers
        ray.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
