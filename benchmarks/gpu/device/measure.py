"""Timing on a GPU, by its own clock; on a CPU (to try the scripts out) by the wall's."""

import statistics
import time
from collections.abc import Callable

import torch

__all__ = ["CUDA", "DEVICE", "Deadline", "milliseconds", "replayed"]

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda:0" if CUDA else "cpu")


class Deadline:
    """Says when a script has had its time: the machine is lent for minutes, and what is cut off is lost."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def is_over(self) -> bool:
        return time.monotonic() > self._until


def milliseconds(work: Callable[[], object], budget_s: float = 0.25) -> float:
    """The median of as many runs as fit into the budget (three at least), after two that do not count."""
    for _ in range(2):
        work()
    _synchronize()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - begun < budget_s and len(times) < 100):
        times.append(_once(work))
    return statistics.median(times)


def _once(work: Callable[[], object]) -> float:
    if not CUDA:
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) * 1e3
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    before.record()
    work()
    after.record()
    after.synchronize()
    return before.elapsed_time(after)


def replayed(work: Callable[[], object]) -> Callable[[], object]:
    """The same kernels as a CUDA graph, which Python's and the launches' time does not count in."""
    if not CUDA:
        return work
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def _synchronize() -> None:
    if CUDA:
        torch.cuda.synchronize()
