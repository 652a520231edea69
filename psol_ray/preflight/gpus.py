"""GPUs of this machine: whether the driver works, what it shows, and whether torch and the JPEG engine can use it.

Each question is a process of its own: this one may be given to an actor that is to see one GPU alone, and a driver may
hang in the kernel.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from psol_ray.preflight.findings import Finding

__all__ = ["check_gpus", "fault_of_cuda", "gpu_names"]

# Eight GPUs whose driver is not kept loaded take half a minute.
_DRIVER_SECONDS = 120.0
# As the CUDA runtime begins.
_CUDA = "import ctypes, sys; sys.exit(ctypes.CDLL('libcuda.so.1').cuInit(0) and 100)"
_NAMES = """
import ctypes, json
cuda, count, found = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), []
if cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0:
    for index in range(count.value):
        name, memory, device = ctypes.create_string_buffer(100), ctypes.c_size_t(), ctypes.c_int()
        cuda.cuDeviceGet(ctypes.byref(device), index)
        cuda.cuDeviceGetName(name, 100, device)
        cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        found.append([name.value.decode(), memory.value])
print(json.dumps(found))
"""
_TORCH = "import json, torch; print(json.dumps([torch.version.cuda, torch.cuda.is_available()]))"
# 3 is NVJPEG_BACKEND_HARDWARE: making such a handle fails where the driver shows no engine.
_ENGINE = """
import ctypes, json, sys
nvjpeg, handle, engines, cores = ctypes.CDLL(sys.argv[1]), ctypes.c_void_p(), ctypes.c_uint(), ctypes.c_uint()
made = nvjpeg.nvjpegCreateEx(3, None, None, 0, ctypes.byref(handle))
if made == 0:
    nvjpeg.nvjpegGetHardwareDecoderInfo(handle, ctypes.byref(engines), ctypes.byref(cores))
print(json.dumps([made, engines.value, cores.value]))
"""
_VIDEO = "import ctypes; ctypes.CDLL('libnvcuvid.so.1'); print(1)"


def fault_of_cuda() -> str | None:
    """Why CUDA cannot be used here; None where it can."""
    # A task of no GPU is shown none by some versions of Ray, and by whoever has set their variable for it.
    nowhere = subprocess.DEVNULL
    begun = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _CUDA], env=_environment(), stdout=nowhere, stderr=nowhere
    )
    try:
        fails = begun.wait(_DRIVER_SECONDS)
    except subprocess.TimeoutExpired:
        begun.kill()  # and not waited for: it may hang in the kernel
        return (
            f"Ray lends GPUs of it, and NVIDIA's driver there has not answered for {_DRIVER_SECONDS:.0f} s; see"
            " `nvidia-smi` on it, and restart the machine if that hangs, too"
        )
    return "Ray lends GPUs of it, and NVIDIA's driver does not work there; see `nvidia-smi` on it" if fails else None


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}


def _ask(program: str, *arguments: str, bare: bool = True) -> Any:
    """What a program prints as JSON; None where it fails or hangs."""
    command = [sys.executable, *(("-I", "-S") if bare else ()), "-c", program, *arguments]
    try:
        done = subprocess.run(command, env=_environment(), capture_output=True, timeout=_DRIVER_SECONDS, check=True)
        return json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError):
        return None


def gpu_names() -> list[tuple[str, int]]:
    """Name and bytes of memory of each GPU that the driver shows; none where there is no driver."""
    return [(name, memory) for name, memory in _ask(_NAMES) or []]


def check_gpus(lent: int | None) -> Iterator[Finding]:
    """Args: `lent` is how many GPUs Ray takes this machine to have; None is without Ray, where none need be there."""
    gpus = gpu_names()
    if not gpus and not lent:
        yield Finding("GPUs", "none")
        return
    if fault := fault_of_cuda():
        yield Finding("GPUs", f"{lent}, driver does not work", "broken", fault)
        return
    kinds = Counter((name, round(memory / 2**30)) for name, memory in gpus)
    words = ", ".join(f"{number} x {name}, {memory} GiB" for (name, memory), number in sorted(kinds.items()))
    if lent is not None and lent > len(gpus):
        remedy = f"Ray lends {lent} GPUs of it, and the driver shows {len(gpus)}; start Ray with --num-gpus {len(gpus)}"
        yield Finding("GPUs", words, "broken", remedy)
    else:
        yield Finding("GPUs", words)
    yield Finding("NVIDIA driver", _driver_version())
    yield _check_torch()
    yield _check_engine()


def _driver_version() -> str:
    try:
        words = Path("/proc/driver/nvidia/version").read_text().split()
    except OSError:
        return "not known"
    return next((word for word in words if word[0].isdigit() and word.count(".")), "not known")


def _check_torch() -> Finding:
    asked = _ask(_TORCH, bare=False)
    if asked is None:
        return Finding("torch on the GPU", "fails", "broken", "torch cannot be imported there; install it anew")
    version, works = asked
    if works:
        return Finding("torch on the GPU", f"CUDA {version}")
    remedy = (
        f"torch there is built for CUDA {version}, which the driver is too old for; renew the driver, or install torch"
        " for an older CUDA"
        if version
        else "torch there is a build without CUDA; install one with it"
    )
    return Finding("torch on the GPU", f"CUDA {version}" if version else "no CUDA", "broken", remedy)


def _check_engine() -> Finding:
    """The engine of a GPU that decodes JPEGs, which DALI uses where the driver shows it."""
    torch = find_spec("torch")
    packages = Path(torch.origin).parents[1] if torch and torch.origin else Path("none")
    libraries = sorted(str(path) for path in packages.glob("*/*/lib/libnvjpeg.so.*"))
    asked = _ask(_ENGINE, libraries[0]) if libraries else None
    if asked is None:
        return Finding("JPEG engine", "not known")
    made, engines, cores = asked
    if made == 0 and engines:
        return Finding("JPEG engine", f"{engines} of {cores} cores")
    if _ask(_VIDEO) is None:
        remedy = (
            "the driver's video libraries are not visible, without which no JPEG engine of a GPU is used; start the"
            " container with NVIDIA_DRIVER_CAPABILITIES=compute,utility,video"
        )
        return Finding("JPEG engine", "hidden", "slow", remedy)
    return Finding("JPEG engine", "none")
