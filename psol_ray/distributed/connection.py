"""Join a Ray cluster, or start Ray on this machine; and leave it again."""

import json
import os
import re
import socket
import threading

import ray

from psol_ray.distributed import local_ray
from psol_ray.distributed.address import Address, find_address
from psol_ray.distributed.auth_token import drop_own, is_refused, wants_token
from psol_ray.distributed.ray_init import NO_RAY_HERE, init
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.errors import UserError, first_line

__all__ = ["PROCESS_ENVIRONMENT", "connect", "disconnect", "is_started_here", "kill"]

_KNOCK_SECONDS = 5.0

# malloc shall keep what a network frees. glibc maps every large block anew and gives it back to the kernel, which
# fills it with zeros page by page, for each layer's output: on a CPU that takes longer than the layers. One arena,
# because the heaps of the others are given back too; decoders' threads need it so seldom that they do not wait for each
# other. Read by glibc as a process starts, so set for all of Ray's.
# What NumPy computes beside the network is small, and OpenBLAS's threads would wait for each other on its cores.
# On a GPU, what DDT keeps of a batch is cut out of the blocks that activations of over a gigabyte were in, which then
# no longer fit there: PyTorch shall join such blocks. PYTORCH_CUDA_ALLOC_CONF, where somebody has set it, goes first.
PROCESS_ENVIRONMENT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTORCH_ALLOC_CONF": "expandable_segments:True",
}
# Ray's own knobs, for whoever has not set them:
_RAY = {
    # Ray Train's controller takes checkpoints in when it polls its workers, each 2 s, and every worker waits for it.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # The new default, whose coming Ray 2.55 announces in every run; 2.60 has it.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# How Ray words that the cluster has another version, in one line.
_VERSIONS = re.compile(r"was started with: (Ray: \S+ Python: \S+).*? was started with: (Ray: \S+ Python: \S+)")
# Where Ray puts what a submitted job was given.
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"

# Whether `connect` has connected this process, and not whoever called it; and to a Ray of its own.
_is_ours = threading.Event()
_is_started_here = threading.Event()


def connect(config: ClusterConfig) -> None:
    """Join the cluster at `config.address`, else the one in RAY_ADDRESS, where a submitted job finds its own, else
    start Ray on this machine. Does nothing where it is connected already.

    Raises:
        UserError: nothing answers at the address, or it is none; or Ray does not start.
    """
    if ray.is_initialized():
        return
    for name, value in _RAY.items():
        os.environ.setdefault(name, value)
    address = find_address(config)
    # Before, because Ctrl-C may come meanwhile.
    _is_ours.set()
    try:
        if address.value == "local":
            _is_started_here.set()
            local_ray.start(PROCESS_ENVIRONMENT)
        else:
            _join(address)
    except UserError:
        _let_go()
        raise


def disconnect() -> None:
    """Leave the cluster that `connect` has joined, or end the Ray that it has started; others' is left alone."""
    if _is_ours.is_set():
        ray.shutdown()
        kill()
        _let_go()


def _let_go() -> None:
    drop_own()
    _is_ours.clear()
    _is_started_here.clear()


def is_started_here() -> bool:
    """Whether it is a Ray of this process's own."""
    return _is_started_here.is_set()


def kill() -> None:
    """End the Ray that `connect` has started, at once; a cluster that was joined notices that this process has gone."""
    if _is_started_here.is_set():
        local_ray.kill()


def _join(address: Address) -> None:
    try:
        if address.value != "auto":
            # Ray itself tries for more than a minute.
            socket.create_connection(address.host_and_port, timeout=_KNOCK_SECONDS).close()
        if address.is_head and is_refused(address.value):
            raise UserError(f"{address.setting}: {_advice_on_token(address.value)}")
        init(address=address.value, runtime_env={"env_vars": _environment_of_workers()})
    except UserError:
        raise
    except Exception as error:  # Ray raises whatever it likes
        raise UserError(f"{address.setting}: {_explain(address.value, error)}") from error


def _environment_of_workers() -> dict[str, str]:
    """Without what the job was submitted with, which Ray would not merge with the same names of ours."""
    submitted = json.loads(os.environ.get(_JOB) or "{}").get("runtime_env") or {}
    theirs = submitted.get("env_vars") or {}
    return {n: os.environ.get(n, value) for n, value in PROCESS_ENVIRONMENT.items() if n not in theirs}


def _explain(address: str, error: Exception) -> str:
    """What keeps this process from joining, and what to do."""
    if wants_token(error):
        return _advice_on_token(address)
    if NO_RAY_HERE in str(error):
        return f"found {address!r}, and no Ray runs on this machine; leave it out, and psol starts one"
    reason = first_line(error, 120)
    if isinstance(error, OSError):
        return (
            f"no Ray cluster answers at {address!r} ({reason}); start one with `ray up cluster.yaml` or leave the"
            " address out"
        )
    text = " ".join(str(error).split())
    if versions := _VERSIONS.search(text):
        there, here = (found.replace(" Python", ", Python").replace(":", "") for found in versions.groups())
        return (
            f"the Ray cluster at {address!r} runs {there}, and this process {here}; use the same of both here and on"
            " all its machines"
        )
    return f"cannot join the Ray cluster at {address!r} ({text[:300]})"


def _advice_on_token(address: str) -> str:
    return (
        f"the Ray cluster at {address!r} wants a token, and this process has none or another; set RAY_AUTH_MODE=token,"
        " and put the cluster's token into ~/.ray/auth_token"
    )
