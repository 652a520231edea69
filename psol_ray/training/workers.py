"""What workers of one training do together; nothing where there is one."""

from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

__all__ = ["gather_over_workers", "num_workers", "share_buffers", "sum_over_workers"]

T = TypeVar("T")


def num_workers() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_workers(values: torch.Tensor) -> torch.Tensor:
    """The tensor summed over all workers, each of which has to call this."""
    if num_workers() == 1:
        return values
    # NCCL sums what lies on GPUs, gloo what lies in main memory.
    on_device = values.to("cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(on_device)
    return on_device


def gather_over_workers(value: T) -> list[T]:
    """What each worker has given, each of which has to call this."""
    if num_workers() == 1:
        return [value]
    found: list[T] = [value] * num_workers()
    dist.all_gather_object(found, value)
    return found


def share_buffers(network: nn.Module) -> None:
    """Give every worker the first one's buffers: each has means of its own images in its batch normalisation."""
    if num_workers() > 1:
        for buffer in network.buffers():
            dist.broadcast(buffer, 0)
