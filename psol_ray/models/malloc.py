"""The memory that networks free on a CPU, kept for their next layers."""

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

# Numbers of `mallopt` in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Have malloc keep what is freed, from now on in all of this process; it shrinks no more while it lives.

    glibc maps every large block anew and gives it back to the kernel, which fills it with zeros page by page, for each
    layer's output: on a CPU that takes longer than the layers. One arena, because the heaps of the others are given
    back too. Does nothing with another C library, or where somebody has set MALLOC_* for this process.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_ARENA_MAX, 1)):
            mallopt(parameter, value)
