"""Ray on this machine alone: start it, whatever the machine's folders and limits are like, and end all of it."""

import ctypes
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from psol_ray.distributed.auth_token import make_own
from psol_ray.distributed.ray_init import init
from psol_ray.errors import UserError, first_line
from psol_ray.log import say

__all__ = ["kill", "start"]

_PR_SET_CHILD_SUBREAPER = 36
# Below its folder Ray names sockets so, with the longest process number that Linux has.
_SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
_SOCKET_LENGTH = 107 if sys.platform == "linux" else 103
# The first of its logs; what does not fit into memory needs more.
_FREE_BYTES = 2**19
# Bytes that a process of Ray may address at least.
_ADDRESSES = 4 * 2**30


def start(environment: Mapping[str, str]) -> None:
    """Start Ray, its processes with these variables unless they are set already.

    Raises:
        UserError: it does not start.
    """
    say("Starting Ray on this machine ...")
    _adopt_orphans()
    folder = _find_folder()
    _check_loopback()
    make_own()
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    try:
        # Not None, with which Ray joins whatever cluster somebody has started on this machine.
        init(address="local", include_dashboard=False, _temp_dir=folder, **_object_store())
    except (OSError, ValueError) as error:
        reason = first_line(error, 300) if _has_working_folder() else "the folder in which it was to start is gone"
        raise UserError(f"Ray did not start on this machine ({reason}); fix that") from error
    except Exception as error:  # Ray raises that class itself where a node is late
        raise UserError(
            f"Ray did not start on this machine ({first_line(error)}); if others keep it busy, run the same command"
            f" again when they do less, else see the logs in {folder}/session_latest/logs, or use"
            " --cluster.address in-process, which needs no Ray"
        ) from error


def _find_folder() -> str:
    """Where Ray can have its sockets and logs: where it would have them itself, or else in /tmp.

    Raises:
        UserError: RAY_TMPDIR or all of these will not do.
    """
    if chosen := os.environ.get("RAY_TMPDIR"):
        if fault := _find_fault(f"{chosen}/ray"):
            raise UserError(f"RAY_TMPDIR: found {chosen!r}, which will not do for Ray's files: {fault}; give another")
        return f"{chosen}/ray"
    # Beside /tmp/ray, which may be somebody else's, a folder of this user's own.
    folders = (f"{os.environ.get('TMPDIR') or '/tmp'}/ray", "/tmp/ray", f"/tmp/ray-{os.getuid()}")
    faults: dict[str, str] = {}
    for folder in folders:
        fault = _find_fault(folder)
        if fault is None:
            if faults:
                first, reason = next(iter(faults.items()))
                say(f"Ray's files are in {folder}, because {first} will not do: {reason}")
            return folder
        faults[folder] = fault
    told = "; ".join(f"{folder}: {fault}" for folder, fault in faults.items())
    raise UserError(
        f"Ray has no folder for its files ({told}); set RAY_TMPDIR to one that will do, or use"
        " --cluster.address in-process, which needs no Ray"
    )


def _find_fault(folder: str) -> str | None:
    """Why Ray cannot have its files there."""
    above = os.path.dirname(folder)
    if not os.path.isdir(above):
        return f"{above} is no folder"
    surplus = len(os.fsencode(f"{folder}/{_SOCKET}")) - _SOCKET_LENGTH
    if surplus > 0:
        return f"its path is {surplus} characters too long for sockets"
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as inside, socket.socket(socket.AF_UNIX) as tried:
            tried.bind(f"{inside}/s")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return first_line(error)
    return f"{free // 2**10} kB are free there, expected {_FREE_BYTES // 2**10}" if free < _FREE_BYTES else None


def _object_store() -> dict[str, int]:
    """How much memory it has, where there is a limit of addresses: each process maps all of it."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return {}
    if limit < _ADDRESSES:
        raise UserError(
            f"Ray does not start on this machine: `ulimit -v` is {limit // 2**10}, expected {_ADDRESSES // 2**10} or"
            " more; raise it"
        )
    return {"object_store_memory": limit // 8}


def _has_working_folder() -> bool:
    try:
        return os.path.isdir(os.getcwd())
    except OSError:
        return False


def _check_loopback() -> None:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:  # Ray would wait for minutes
        raise UserError(
            f"Ray does not start on this machine: 127.0.0.1 cannot be reached ({first_line(error)}); switch its network"
            " on with `ip link set lo up`, or use --cluster.address in-process, which needs no Ray"
        ) from None


def kill() -> None:
    """End all processes of a Ray that was started here, at once."""
    _kill_children(os.getpid())


def _adopt_orphans() -> None:
    """Have Linux make processes of Ray whose parents have gone children of this one: agents that have only just begun
    would look for their head for a minute."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _kill_children(parent: int) -> None:
    for child in _children(parent):
        with suppress(OSError):  # that one has ended meanwhile; its siblings may not have
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            _kill_children(child)
            if command.startswith(b"ray::") or b"/ray/" in command:
                os.kill(child, signal.SIGKILL)


def _children(parent: int) -> list[int]:
    """Those of all its threads."""
    children: list[int] = []
    for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):
            children += map(int, tasks.read_text().split())
    return children
