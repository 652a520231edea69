"""What the benchmarks write: figures with their command, versions, hardware and date."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import psol_ray

__all__ = ["Json", "print_table", "write_result"]

Json = dict[str, Any]


def write_result(out: str, params: Json, metrics: Json) -> None:
    """Write `params`, `metrics` and the environment to `out` as JSON, making its folder.

    Args:
        out: path of the JSON file.
        params: what was asked for; the command is added.
        metrics: what was measured.
    """
    result = {
        "params": {"command": " ".join(["python", *sys.argv]), **params},
        "metrics": metrics,
        "environment": _environment(),
    }
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")


def print_table(rows: list[Json]) -> None:
    """Print rows of equal keys as a Markdown table; a float gets the digits that `.4g` gives it."""
    if not rows:
        return
    print("| " + " | ".join(rows[0]) + " |")
    print("| " + " | ".join("---" for _ in rows[0]) + " |")
    for row in rows:
        print("| " + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")


def _environment() -> Json:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "psol_ray": psol_ray.__version__,
        "commit": _COMMIT,
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of this checkout, `-dirty` where tracked files differ from it."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


# Asked at the start: a checkout can move on while a benchmark runs.
_COMMIT = _commit()
