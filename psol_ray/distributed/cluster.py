"""Start or join a Ray cluster, and plan its workers."""

import ctypes
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from psol_ray.distributed.autoscaler import bring_node, has_autoscaler
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.distributed.shares import Node, Share, divide_cpus, divide_gpus
from psol_ray.errors import UserError, first_line

__all__ = [
    "PROCESS_ENVIRONMENT",
    "WorkerPlan",
    "check_nodes",
    "connect",
    "disconnect",
    "find_nodes",
    "keep_handlers",
    "kill",
    "plan_workers",
]

# Ray itself tries for more than a minute.
_KNOCK_SECONDS = 5.0
_NOT_ADDRESSES = ("auto", "local")
# Ray gives a node 30 s to start, and its agents 15 s of those, which a busy machine may need for importing alone; it
# has no setting for either.
_ATTEMPTS = 3
_SECONDS_BETWEEN_ATTEMPTS = 5.0

# malloc shall keep what a network frees. glibc maps every large block anew and gives it back to the kernel, which
# fills it with zeros page by page, for each layer's output: on a CPU that takes longer than the layers. One arena,
# because the heaps of the others are given back too. Read by glibc as a process starts, so set for all of Ray's.
# SciPy's eigenvectors are made beside the network, and OpenBLAS's threads would wait for each other on its cores.
PROCESS_ENVIRONMENT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# Ray's own knobs, for whoever has not set them:
_RAY = {
    # Ray Train's controller takes checkpoints in when it polls its workers, each 2 s, and every worker waits for it.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # Ray announces a change of default in every run; we take the new one.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

_PR_SET_CHILD_SUBREAPER = 36

# Whether `connect` has connected this process, and not whoever called it.
_is_ours = threading.Event()


@dataclass(frozen=True)
class WorkerPlan:
    """How many workers there are, and what each one has.

    Ray Train's workers are all alike: `num_cpus`, `num_gpus` and `memory` are the smallest share. A pool's workers have
    the share of their own node, and their number grows with the cluster.
    """

    num_workers: int
    """As many as were asked for, or as there is room for now."""
    num_cpus: int
    num_gpus: int
    """0 or 1."""
    memory: float = 0.0
    """Bytes of main memory, of those that Ray leaves to its workers."""
    min_workers: int | None = None
    """Training makes do with so many; None is all."""
    shares: tuple[Share, ...] = ()
    """The nodes there are now."""
    max_workers: int | None = None
    """A pool does not grow beyond; None is one a GPU, or one a machine where there is none, of those that come."""
    can_grow: bool = False
    """Whether an autoscaler can bring the workers that are missing."""

    def resources(self) -> dict[str, float]:
        """Those of a worker, as Ray Train wants them."""
        return {"CPU": self.num_cpus, **({"GPU": self.num_gpus} if self.num_gpus else {})}

    def divide(self, nodes: list[Node], missing: int) -> tuple[Share, ...]:
        """The shares of nodes that have joined; `missing` is how many workers are wanted beside those there are."""
        if self.num_gpus:
            return divide_gpus(nodes)
        if self.max_workers is None:
            return divide_cpus(nodes, len(nodes))
        return divide_cpus(nodes, missing)


def connect(config: ClusterConfig) -> None:
    """Join the cluster at `config.address`, else the one in RAY_ADDRESS, where a submitted job finds its own, else
    start Ray on this machine. Does nothing where it is connected already.

    Raises:
        UserError: nothing answers at the address, or it is none; or Ray does not start.
    """
    if ray.is_initialized():
        return
    _is_ours.set()
    for name, value in _RAY.items():
        os.environ.setdefault(name, value)
    if config.address:
        _join(config.address, "cluster.address")
    elif os.environ.get("RAY_ADDRESS"):
        _join(os.environ["RAY_ADDRESS"], "RAY_ADDRESS")
    else:
        _start()


def _start() -> None:
    print("Starting Ray on this machine ...", file=sys.stderr)
    _adopt_orphans()
    for name, value in PROCESS_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        # Not None, with which Ray joins whatever cluster somebody has started on this machine.
        _init(address="local", include_dashboard=False)
    except Exception as error:  # Ray raises that class itself where a node is late
        raise UserError(
            f"Ray did not start on this machine ({first_line(error)}); if others keep it busy, run the same command"
            " again when they do less, else see the logs in /tmp/ray/session_latest/logs"
        ) from error


def _join(address: str, setting: str) -> None:
    try:
        if address not in _NOT_ADDRESSES:
            _knock(address, setting)
        env = {name: os.environ.get(name, value) for name, value in PROCESS_ENVIRONMENT.items()}
        _init(address=address, runtime_env={"env_vars": env})
    except UserError:
        raise
    except OSError as error:
        if "AuthToken" in repr(error.__cause__):
            raise UserError(
                f"{setting}: the Ray cluster at {address!r} wants a token; set RAY_AUTH_MODE=token, and put the"
                " cluster's token into ~/.ray/auth_token"
            ) from None
        raise UserError(
            f"{setting}: no Ray cluster answers at {address!r} ({first_line(error, 120)});"
            " start one with `ray up cluster.yaml` or leave the address out"
        ) from None
    except Exception as error:  # other versions of Ray or Python, say
        raise UserError(f"{setting}: cannot join the Ray cluster at {address!r} ({first_line(error)})") from error


def _init(**arguments: Any) -> None:
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            with keep_handlers():
                ray.init(logging_level=logging.ERROR, log_to_driver=False, **arguments)
            return
        except Exception as error:
            # What is wrong with the arguments or the file system stays so.
            is_lasting = isinstance(error, (ValueError, OSError)) and not isinstance(error, ConnectionError)
            if is_lasting or "AuthToken" in repr(error.__cause__) or not attempts_left:
                raise
            print(f"Ray is not there yet ({first_line(error)}); trying again ...", file=sys.stderr)
            ray.shutdown()
            time.sleep(_SECONDS_BETWEEN_ATTEMPTS)


@contextmanager
def keep_handlers() -> Iterator[None]:
    """Put handlers of signals back after the block: Ray, and Ray Train, install their own and leave them."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if handler is not None:  # else it was installed by other means than Python's
                    signal.signal(number, handler)


def disconnect() -> None:
    """Leave the cluster that `connect` has joined, or end the Ray that it has started; others' is left alone."""
    if _is_ours.is_set():
        ray.shutdown()
        kill()
        _is_ours.clear()


def kill() -> None:
    """End the Ray that `connect` has started, at once; a cluster that was joined notices that this process has gone."""
    if _is_ours.is_set():
        _kill_children(os.getpid())


def _adopt_orphans() -> None:
    """Have Linux make processes of Ray whose parents have gone children of this one: agents that have only just begun
    would look for their head for a minute."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _kill_children(parent: int) -> None:
    """Kill Ray's processes below this one, where Linux tells of them."""
    for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                command = Path(f"/proc/{child}/cmdline").read_bytes()
                _kill_children(child)
                if command.startswith(b"ray::") or b"/ray/" in command:
                    os.kill(child, signal.SIGKILL)


def _knock(address: str, setting: str) -> None:
    """Raises OSError where nobody listens, and UserError where `address` is none."""
    scheme, _, rest = address.rpartition("://")
    host, _, port = rest.rpartition(":")
    if scheme not in ("", "ray") or not host or not port.isdecimal() or int(port) > 65535:
        raise UserError(
            f"{setting}: found {address!r}, expected HOST:PORT of the cluster's head (6379 is Ray's port),"
            " ray://HOST:PORT of its client server, auto for the cluster this machine belongs to, or, as"
            " cluster.address, in-process for no cluster at all"
        )
    socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()


def find_nodes() -> list[Node]:
    """The nodes that live and lend a CPU, the head too if it does."""
    # `ray.nodes` is for developers of Ray, "for debugging only". The public ways are worse: `ray.util.state` asks the
    # dashboard, which need not run, and `ray.cluster_resources` adds all nodes up.
    return [
        Node(node["NodeID"], int(lent["CPU"]), int(lent.get("GPU", 0)), lent.get("memory", 0.0))
        for node in ray.nodes()
        if node["Alive"] and (lent := node["Resources"]).get("CPU", 0) >= 1
    ]


def check_nodes() -> list[Node]:
    """The nodes there are; where there is none, waits for one that the autoscaler starts.

    Raises:
        UserError: there is none, and none comes.
    """
    if not find_nodes() and not (has_autoscaler() and bring_node("CPU", lambda: bool(find_nodes()))):
        raise UserError("the Ray cluster has no CPUs to work with; add nodes, or give its head some with --num-cpus")
    return find_nodes()


def plan_workers(config: ClusterConfig, fit: Callable[[list[Node]], list[Node]] | None = None) -> WorkerPlan:
    """One worker a GPU, or one a machine where there is none, unless `config.workers` says how many.

    Where no GPU is there and the autoscaler can bring one, it is asked to and waited for: a cluster whose GPUs are
    still booting is not one of CPUs.

    Args:
        config: how many workers there are to be.
        fit: says which of the nodes may be planned with; None is all.

    Raises:
        UserError: more workers are asked for than the cluster can hold, and it cannot grow.
    """
    can_grow = has_autoscaler()
    has_gpus = _has_gpus() or (can_grow and bring_node("GPU", _has_gpus))
    nodes = check_nodes() if fit is None else fit(check_nodes())
    if has_gpus:
        shares = divide_gpus(nodes)
        there, kind = sum(share.num_workers for share in shares), "GPUs"
    else:
        there, kind = sum(node.num_cpus for node in nodes), "CPUs"
        shares = divide_cpus(nodes, config.workers or len(nodes))
    if config.workers and config.workers > there:
        _check_growth(config.workers, there, kind, can_grow)
    num_workers = config.workers or sum(share.num_workers for share in shares)
    return WorkerPlan(
        num_workers,
        min(share.resources.num_cpus for share in shares),
        int(has_gpus),
        min(share.resources.memory for share in shares),
        _min_workers(config, num_workers),
        shares,
        config.workers,
        can_grow,
    )


def _has_gpus() -> bool:
    return any(node.num_gpus for node in find_nodes())


def _min_workers(config: ClusterConfig, num_workers: int) -> int | None:
    if config.min_workers and config.min_workers > num_workers:
        raise UserError(
            f"cluster.min_workers: found {config.min_workers}, expected at most the {num_workers} workers there are"
        )
    return config.min_workers


def _check_growth(wanted: int, there: int, kind: str, can_grow: bool) -> None:
    if not can_grow:
        raise UserError(
            f"cluster.workers: {wanted} were asked for and the cluster has {there} {kind}, one for each; ask for fewer"
        )
    print(
        f"The cluster has {there} {kind} for {wanted} workers; the autoscaler is asked for the others", file=sys.stderr
    )
