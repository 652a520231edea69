"""Runs commands of psol, each in a process of its own: how long it takes, and the driver's memory."""

import subprocess
import sys
import time
from pathlib import Path

from result import Json

__all__ = ["peak_mb", "run_command"]


def run_command(name: str, *flags: str) -> Json:
    """Run the command that is the first word of `name`.

    Returns:
        `command`, which is `name`; `seconds`; and `peak_mb`, the process's own, libraries included.
    """
    command = name.split()[0].rstrip(",")
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "psol_ray.cli", command, *flags], stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, peak_mb(process.pid))
        time.sleep(0.05)
    if process.returncode not in (0, 3):
        raise RuntimeError(f"psol {command} ended with {process.returncode}")
    return {"command": name, "seconds": time.perf_counter() - started, "peak_mb": peak}


def peak_mb(pid: int) -> float:
    """What a process has had in memory at most so far; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
