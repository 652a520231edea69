"""Setting up a worker process: device, threads, precision."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    # Only for annotations: this module also serves where there is no Ray.
    from psol_ray.config import Precision
    from psol_ray.distributed.cluster import WorkerPlan

__all__ = ["actor_device", "autocast", "feature_memory"]


def actor_device(plan: WorkerPlan) -> torch.device:
    """The device of this actor; its CPU threads are set to its share."""
    torch.set_num_threads(plan.num_cpus)
    return torch.device("cpu" if plan.gpu is None else f"cuda:{plan.gpu}")


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


def feature_memory(plan: WorkerPlan, memory_gb: float | None) -> float:
    """Bytes of features that an actor may hold: as told, else half of what its device has free."""
    if memory_gb is not None:
        return memory_gb * 1e9
    free = plan.memory if plan.gpu is None else torch.cuda.mem_get_info(plan.gpu)[0]
    return free / 2
