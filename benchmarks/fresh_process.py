"""A function in a process of its own: its peak of memory is its own, and malloc starts without habits.

    run_fresh("throughput_parts", "decode", params, keep_memory=True)

runs `throughput_parts.decode(params)`, which takes and returns what JSON can hold. With `keep_memory` the process gets
the settings of malloc that `psol` gives to Ray's processes. An import that fails is an answer, `{"skipped": reason}`.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from result import Json

__all__ = ["peak_memory_mb", "reset_peak_memory", "run_fresh"]


def run_fresh(module: str, function: str, params: Json, *, keep_memory: bool, in_process: bool = False) -> Json:
    """What the function returns; see above. With `in_process` it runs here, for a smoke test that has no time to lose.

    Raises:
        CalledProcessError: it raised; its traceback is on stderr.
    """
    if in_process:
        return _call(module, function, params)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    environment |= _keep_memory() if keep_memory else {}
    with tempfile.NamedTemporaryFile("r", suffix=".json") as answer:
        command = [sys.executable, __file__, module, function, answer.name]
        subprocess.run(command, input=json.dumps(params), text=True, env=environment, check=True)
        return json.load(answer)


def _keep_memory() -> dict[str, str]:
    # Where Ray is not installed, `psol` itself cannot run, and nobody sets these.
    with suppress(ImportError):
        return dict(import_module("psol_ray.distributed.connection").PROCESS_ENVIRONMENT)
    return {}


def peak_memory_mb() -> float:
    """The most main memory that this process has had, since `reset_peak_memory` if that was called."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024


def reset_peak_memory() -> float:
    """Start `peak_memory_mb` anew from what the process has now, which is returned (Linux only)."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory_mb()


def _call(module: str, function: str, params: Json) -> Json:
    try:
        return getattr(import_module(module), function)(params)
    except ImportError as error:
        return {"skipped": str(error)}


def _main(module: str, function: str, answer: str) -> None:
    Path(answer).write_text(json.dumps(_call(module, function, json.load(sys.stdin))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
