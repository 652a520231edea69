"""How many images a second a device can take, derived from what its maker says and a share of it.

A network's operations are counted (`models/costs.py`); nothing here is measured on a GPU, and whoever shows such a
figure says that it is derived.
"""

import os
import re
from collections.abc import Sequence

__all__ = ["EFFICIENCY", "GPUS", "images_per_second", "tflops_of"]

GPUS = {
    "L4": 121.0,
    "A10G": 70.0,
    "A100": 312.0,
    "L40S": 362.0,
    "H100": 989.0,
    "H200": 989.0,
}
"""TFLOP/s in bfloat16 without sparsity, by the makers' data sheets; of A100 and H100 those on SXM boards."""
EFFICIENCY = 0.35
"""Share of it that convolutional networks are taken to reach."""
# VGG16 at 448 pixels in bfloat16, 7 images a second of 123 GFLOP on two cores (docs/results.md): at most that.
_CPU_TFLOPS = 0.4


def tflops_of(name: str) -> float | None:
    """TFLOP/s of a GPU by what its driver, or Ray, calls it; None where it is not in the table."""
    words = re.split(r"[^A-Z0-9]+", name.upper())
    return next((GPUS[word] for word in words if word in GPUS), None)


def images_per_second(flops: float | None, gpus: Sequence[str], num_cpus: int | None = None) -> float | None:
    """What a machine's devices could take of a network, about; None where that is not known.

    Args:
        flops: of an image, a multiply-add being two.
        gpus: names of the machine's GPUs; without any its CPUs work.
        num_cpus: how many of these; None is all.
    """
    if not flops:
        return None
    if not gpus:
        return 1e12 * _CPU_TFLOPS * (num_cpus or len(os.sched_getaffinity(0))) / flops
    known = [tflops for name in gpus if (tflops := tflops_of(name)) is not None]
    return 1e12 * EFFICIENCY * sum(known) / flops if len(known) == len(gpus) else None
