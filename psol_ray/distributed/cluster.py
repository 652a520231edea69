"""Start or join a Ray cluster, and divide it among workers."""

import logging
import os
import socket
import sys
from dataclasses import dataclass

import ray

from psol_ray.config import ClusterConfig
from psol_ray.errors import UserError

__all__ = ["WorkerPlan", "connect", "plan_workers"]

# Ray itself tries for more than a minute.
_KNOCK_SECONDS = 5.0
_NOT_ADDRESSES = ("auto", "local")

# malloc shall keep what a network frees. glibc maps every large block anew and gives it back to the kernel, which
# fills it with zeros page by page, for each layer's output: on a CPU that takes longer than the layers. One arena,
# because the heaps of the others are given back too. Read by glibc as a process starts, so set for all of Ray's.
# SciPy's eigenvectors are made beside the network, and OpenBLAS's threads would wait for each other on its cores.
_PROCESS = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class WorkerPlan:
    """How many workers there are, and what each one has."""

    num_workers: int
    num_cpus: int
    num_gpus: int  # 0 or 1
    memory: float = 0.0  # bytes of main memory, of those that Ray leaves to its workers
    min_workers: int | None = None  # training makes do with so many; None is all

    @property
    def gpu(self) -> int | None:
        """CUDA index inside an actor of one GPU: Ray shows it that one alone. Ray Train's workers see them all."""
        return 0 if self.num_gpus else None

    def resources(self) -> dict[str, float]:
        """As Ray Train wants them."""
        return {"CPU": self.num_cpus, **({"GPU": self.num_gpus} if self.num_gpus else {})}


def connect(config: ClusterConfig) -> None:
    """Join the cluster at `config.address`, else the one in RAY_ADDRESS, where a submitted job finds its own, else
    start Ray on this machine. Does nothing where it is connected already.

    Raises:
        UserError: nothing answers at the address, or it is none.
    """
    if ray.is_initialized():
        return None
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    # How often Ray Train takes a checkpoint in, for which every worker waits: 2 s, if not told.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    # Ray announces a change of default in every run; we take the new one.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if config.address:
        return _join(config.address, "cluster.address")
    if os.environ.get("RAY_ADDRESS"):
        return _join(os.environ["RAY_ADDRESS"], "RAY_ADDRESS")
    print("Starting Ray on this machine ...", file=sys.stderr)
    for name, value in _PROCESS.items():
        os.environ.setdefault(name, value)
    # Not None, with which Ray joins whatever cluster somebody has started on this machine.
    ray.init(address="local", logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    return None


def _join(address: str, where: str) -> None:
    try:
        if address not in _NOT_ADDRESSES:
            _knock(address)
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env={"env_vars": {name: os.environ.get(name, value) for name, value in _PROCESS.items()}},
        )
    except OSError as error:
        raise UserError(
            f"{where}: no Ray cluster answers at {address!r} ({str(error).splitlines()[0][:120]});"
            " start one with `ray up cluster.yaml` or leave the address out"
        ) from None


def _knock(address: str) -> None:
    """Raises OSError where nobody listens, and UserError where `address` is none."""
    scheme, _, rest = address.rpartition("://")
    host, _, port = rest.rpartition(":")
    if scheme not in ("", "ray") or not host or not port.isdecimal() or int(port) > 65535:
        raise UserError(
            f"cluster.address: found {address!r}, expected HOST:PORT of the cluster's head (6379 is Ray's port),"
            " ray://HOST:PORT of its client server, or auto for the cluster this machine belongs to"
        )
    socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()


def plan_workers(config: ClusterConfig) -> WorkerPlan:
    """One worker a GPU, or one a machine where there is none, unless `config.workers` says how many.

    Raises:
        UserError: more workers are asked for than the cluster can hold.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    if not nodes:
        raise UserError("the Ray cluster has no CPUs to work with; add nodes, or give its head some with --num-cpus")
    # A worker also takes a CPU: a machine of more GPUs than CPUs could not place them all, and Ray would wait for ever.
    gpus_to_cpus = [(min(int(node["GPU"]), int(node["CPU"])), int(node["CPU"])) for node in nodes if node.get("GPU")]
    num_gpus = sum(gpus for gpus, _ in gpus_to_cpus)
    if num_gpus:
        num_workers = config.workers or num_gpus
        _check(num_workers, num_gpus, "GPUs")
        share = min(cpus // gpus for gpus, cpus in gpus_to_cpus if gpus)
        return WorkerPlan(num_workers, share, 1, min_workers=_least(config, num_workers))
    cpus = [int(node["CPU"]) for node in nodes]
    num_workers = config.workers or len(cpus)
    _check(num_workers, sum(cpus), "CPUs")
    # The largest share of which every worker gets one.
    share = max(s for s in range(1, max(cpus) + 1) if sum(c // s for c in cpus) >= num_workers)
    memory = min(node.get("memory", 0.0) / (node["CPU"] // share) for node in nodes if node["CPU"] >= share)
    return WorkerPlan(num_workers, share, 0, memory, _least(config, num_workers))


def _least(config: ClusterConfig, num_workers: int) -> int | None:
    if config.min_workers and config.min_workers > num_workers:
        raise UserError(
            f"cluster.min_workers: found {config.min_workers}, expected at most the {num_workers} workers there are"
        )
    return config.min_workers


def _check(wanted: int, there: int, kind: str) -> None:
    if wanted > there:
        raise UserError(
            f"cluster.workers: {wanted} were asked for and the cluster has {there} {kind}, one for each; ask for fewer"
        )
