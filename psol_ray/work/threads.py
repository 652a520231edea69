"""Threads for what waits, as questions to a network file system do; none for what computes."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["NUM_THREADS", "map_waiting"]

NUM_THREADS = 16

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_LOOK_SECONDS = 0.02
# At twice its computing, a wait hardly pays for threads; a question to another machine takes a hundred times as long.
_WAITS = 3.0


def map_waiting(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """`function` of each item, in order: in this thread, and in several from when it is seen to wait.

    Python runs one thread at a time. Those that seldom wait hand its lock to and fro: ImageNet's files, of which a
    local disk's cache knows all, are listed in threads in twice the time of one.
    """
    rest = iter(items)
    wall, cpu = time.perf_counter(), time.thread_time()
    for item in rest:
        yield function(item)
        elapsed = time.perf_counter() - wall
        if elapsed < _LOOK_SECONDS:
            continue
        if elapsed > _WAITS * (time.thread_time() - cpu):
            break
        wall, cpu = time.perf_counter(), time.thread_time()
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        yield from pool.map(function, rest)
