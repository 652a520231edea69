"""Setting up a worker process: device, threads, precision."""

from contextlib import AbstractContextManager

import torch

from psol_ray.config import Precision
from psol_ray.distributed.cluster import WorkerPlan

__all__ = ["autocast", "claim_device"]


def claim_device(plan: WorkerPlan) -> torch.device:
    """The device of this worker; its CPU threads are set to its share."""
    torch.set_num_threads(plan.num_cpus)
    return torch.device("cpu" if plan.gpu is None else f"cuda:{plan.gpu}")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """Runs the block in the precision asked for; `auto` is bfloat16 on a GPU and float32 on a CPU."""
    half = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=half)
