"""Setting up a worker process: device, threads, precision."""

from contextlib import AbstractContextManager

import torch

from psol_ray.models.malloc import keep_freed_memory
from psol_ray.models.precision import Precision
from psol_ray.work.jobs import Resources

__all__ = ["autocast", "feature_memory", "prepare_process", "worker_device"]


def prepare_process(num_cpus: int) -> None:
    """Give PyTorch so many CPU threads, have malloc keep what networks free, and have float32 mean float32.

    In convolutions on a GPU it would be TF32, of ten bits, by default.
    """
    keep_freed_memory()
    torch.set_num_threads(num_cpus)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def worker_device(resources: Resources) -> torch.device:
    """The device of this worker, whose process is prepared for its share of the CPUs."""
    prepare_process(resources.num_cpus)
    return torch.device("cpu" if resources.gpu is None else f"cuda:{resources.gpu}")


def autocast(device: torch.device, precision: Precision, *, training: bool = False) -> AbstractContextManager[None]:
    """Runs the block in the precision asked for.

    `auto` is bfloat16 on a GPU, and for inference also on a CPU with units for it; else float32. Backward passes in
    bfloat16 are slower than in float32 on a CPU.
    """
    fit = device.type == "cuda" or (not training and _cpu_has_bfloat16())
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16" or (precision == "auto" and fit))


def _cpu_has_bfloat16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def feature_memory(resources: Resources, memory_gb: float | None) -> float:
    """Bytes of features that a worker may hold: as told, else half of what its device has free."""
    if memory_gb is not None:
        return memory_gb * 1e9
    free = resources.memory if resources.gpu is None else torch.cuda.mem_get_info(resources.gpu)[0]
    return free / 2
