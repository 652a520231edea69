"""Start or join a Ray cluster, and divide it among workers."""

import logging
import os
import sys
from dataclasses import dataclass

import ray

from psol_ray.config import ClusterConfig
from psol_ray.errors import UserError

__all__ = ["WorkerPlan", "connect", "plan_workers"]


@dataclass(frozen=True)
class WorkerPlan:
    """How many workers there are, and what each one has."""

    num_workers: int
    num_cpus: int
    num_gpus: int  # 0 or 1

    @property
    def gpu(self) -> int | None:
        """CUDA index inside a worker of one GPU: Ray shows it that one alone."""
        return 0 if self.num_gpus else None

    def resources(self) -> dict[str, float]:
        """As Ray Train wants them."""
        return {"CPU": self.num_cpus, **({"GPU": self.num_gpus} if self.num_gpus else {})}


def connect(config: ClusterConfig) -> None:
    """Join the cluster at `config.address`, or start Ray on this machine; nothing where it is connected already.

    A submitted job finds its cluster's address in RAY_ADDRESS, which Ray reads by itself.
    """
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    # Ray announces a change of default in every run; we take the new one.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = config.address or os.environ.get("RAY_ADDRESS")
    if address is None:
        print("Starting Ray on this machine ...", file=sys.stderr)
    try:
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            include_dashboard=None if address else False,
        )
    except ConnectionError as error:
        raise UserError(
            f"cluster.address: no Ray cluster answers at {address!r} ({str(error).splitlines()[0][:120]});"
            " start one with `ray up cluster.yaml` or leave the address out"
        ) from error


def plan_workers(config: ClusterConfig) -> WorkerPlan:
    """One worker a GPU, or one a machine where there is none, unless `config.workers` says how many.

    Raises:
        UserError: more workers are asked for than the cluster can ever hold.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    num_gpus = int(sum(node.get("GPU", 0) for node in nodes))
    if num_gpus:
        num_workers = config.workers or num_gpus
        _check(num_workers, num_gpus, "GPUs")
        per_gpu = [int(node["CPU"] // node["GPU"]) for node in nodes if node.get("GPU")]
        return WorkerPlan(num_workers, max(1, min(per_gpu)), 1)
    cpus = [int(node["CPU"]) for node in nodes]
    num_workers = config.workers or len(cpus)
    _check(num_workers, sum(cpus), "CPUs")
    # The largest share of which every worker gets one.
    share = max(s for s in range(1, max(cpus) + 1) if sum(c // s for c in cpus) >= num_workers)
    return WorkerPlan(num_workers, share, 0)


def _check(wanted: int, there: int, kind: str) -> None:
    if wanted > there:
        raise UserError(
            f"cluster.workers: {wanted} were asked for and the cluster has {there} {kind}, one for each; ask for fewer"
        )
