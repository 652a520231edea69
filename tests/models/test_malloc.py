"""What is freed is kept: the kernel is asked for no page twice."""

import os
import subprocess
import sys

import pytest

_TOUCH = """
import resource, sys
import numpy as np
from psol_ray.models.malloc import keep_freed_memory

keep_freed_memory()
faults = []
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**22)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(*faults)
"""


def faults_of(**environment: str) -> list[int]:
    """Page faults of three blocks of 32 MB, each freed before the next."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", _TOUCH]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**clean, **environment})
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_a_block_that_is_freed_is_the_next_ones() -> None:
    first, second, third = faults_of()
    assert max(second, third) == 0 < first


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_whoever_has_set_it_up_themselves_is_left_alone() -> None:
    assert min(faults_of(MALLOC_ARENA_MAX="2")) > 0
