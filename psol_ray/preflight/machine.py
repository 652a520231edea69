"""CPUs, memory, disks and limits of this machine, beside what a run needs of them."""

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from psol_ray.preflight.findings import Finding

__all__ = ["check_cpus", "check_disk", "check_limits", "check_memory"]

_GB = 1e9
# A worker with VGG16 at 448 pixels: 2 GB for a batch of 8 on a CPU (docs/results.md), and Python with torch and DALI.
_WORKER_BYTES = 3 * _GB
_FEW_FILES = 1024
# Above this share Ray takes no more objects.
_RAYS_LIMIT = 0.95


def check_cpus(lent: int | None) -> Iterator[Finding]:
    """Args: `lent` is how many CPUs Ray takes this machine to have; None without Ray."""
    there = _quota() or float(len(os.sched_getaffinity(0)))
    finding = Finding("CPUs", f"{lent or there:g}")
    if lent is not None and lent > there:
        remedy = (
            f"Ray lends {lent} CPUs of it, and this process may use {there:g}; raise the container's limit, or start"
            f" Ray with --num-cpus {max(int(there), 1)}"
        )
        finding = Finding("CPUs", f"{there:g} of {lent}", "slow", remedy)
    yield finding


def _quota() -> float | None:
    """CPUs that a container may use; None is no limit."""
    try:
        most, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if most == "max" else int(most) / int(period)


def check_memory(num_workers: int) -> Iterator[Finding]:
    """Args: `num_workers` is how many workers this machine is going to have."""
    free = _free_memory()
    needed = _WORKER_BYTES * num_workers
    if free >= needed:
        yield Finding("memory free", amount=free / _GB, unit="GB")
    else:
        remedy = (
            f"{free / _GB:.1f} GB of memory are free, and {num_workers} workers need about {needed / _GB:.0f}; end what"
            " else runs there, or use machines with more"
        )
        yield Finding("memory free", "", "broken", remedy, free / _GB, "GB")


def _free_memory() -> float:
    """Bytes that new processes could have, in the container's limit."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = float(lines["MemAvailable"].split()[0]) * 1024
    try:
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text() for name in ("max", "current"))
        return min(free, float(limit) - float(used))
    except (OSError, ValueError):  # no container, or "max"
        return free


def check_disk(name: str, folder: str, needed: float) -> Iterator[Finding]:
    """Free space where something is to be written.

    Args:
        name: what the row is called.
        folder: a local folder, which need not be there yet.
        needed: bytes that the run is going to write there.
    """
    path = Path(folder)
    while not path.exists():
        path = path.parent
    total, _, free = shutil.disk_usage(path)
    finding = Finding(name, amount=free / _GB, unit="GB")
    if free < needed:
        remedy = f"{free / _GB:.1f} GB are free for {folder}, and about {needed / _GB:.1f} are needed; make room"
        finding = Finding(name, "", "broken", remedy, free / _GB, "GB")
    elif free < (1 - _RAYS_LIMIT) * total and "Ray" in name:
        remedy = f"the disk of {folder} is more than {_RAYS_LIMIT:.0%} full, where Ray stops taking objects; make room"
        finding = Finding(name, "", "slow", remedy, free / _GB, "GB")
    yield finding


def check_limits(object_store: float | None) -> Iterator[Finding]:
    """Shared memory and open files.

    Args:
        object_store: bytes of Ray's object store there; None without Ray.
    """
    shared = shutil.disk_usage("/dev/shm").total
    finding = Finding("/dev/shm", amount=shared / _GB, unit="GB")
    if object_store is not None and shared < object_store:
        remedy = (
            f"/dev/shm has {shared / _GB:.1f} GB and Ray's object store {object_store / _GB:.1f}, which then is on a"
            f" disk; give the container more (shm-size of Docker)"
        )
        finding = Finding("/dev/shm", "", "slow", remedy, shared / _GB, "GB")
    yield finding
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    remedy = f"only {soft} files may be open at once; run `ulimit -n 65536` before Ray is started"
    few = soft < _FEW_FILES
    yield Finding("open files", f"{soft:,}", "odd" if few else "good", remedy if few else "")
