"""Parquet of a single row group, as whoever writes a table at once makes it, and what reading it takes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["peak_memory", "write_one_group"]

# Not `ru_maxrss`, which begins with that of the process that started this one.
_MEASURED = """
import re
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024
{imports}
before = peak()
{action}
print(peak() - before)
"""


def write_one_group(path: Path, rows: int, row_bytes: int) -> list[bytes]:
    """Write images of random bytes in pages of 16 rows or fewer; returns them."""
    generator = np.random.default_rng(0)
    images = [generator.bytes(row_bytes) for _ in range(rows)]
    table = pa.table({"image": images, "label": [i % 4 for i in range(rows)]})
    pq.write_table(table, path, row_group_size=rows, write_batch_size=16)
    return images


def peak_memory(imports: str, action: str) -> float:
    """By how many MB the memory of a process grows at most, in which `action` is run."""
    script = _MEASURED.format(imports=imports, action=action)
    return float(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)
