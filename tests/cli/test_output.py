"""Output to terminals and logs of any kind, by real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PRINT = r"""
import sys
from psol_ray.cli.output import adapt_streams
adapt_streams()
print("a \N{EN DASH} 中 \N{GREATER-THAN OR EQUAL TO}")
print("b \N{EN DASH} 中", file=sys.stderr)
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8"])
def test_what_an_encoding_lacks_is_replaced(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PRINT], capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 0, done.stderr
    expected = "a \N{EN DASH} 中 \N{GREATER-THAN OR EQUAL TO}\n"
    if encoding in ("ascii", "latin-1"):
        expected = "a - ? >=\n"
    elif encoding != "utf-8":
        expected = expected.replace("中", "?").encode(encoding, "replace").decode(encoding).replace(" ?\n", " >=\n")
        expected = expected.replace("a ?", "a -")
    assert done.stdout.decode(encoding) == expected


def test_closed_streams_are_no_error() -> None:
    command = f"\"{sys.executable}\" -c '{_PRINT}' >&- 2>&-"
    assert subprocess.run(["sh", "-c", command]).returncode == 0


_PRINT_ON = r"""
import sys, time
from psol_ray.cli.output import adapt_streams
adapt_streams()
from rich.console import Console
print("first", flush=True)
time.sleep(0.5)
for _ in range(3):
    print("x" * 2**16, file=sys.stderr)
    print("x" * 2**16)
    Console().print("y " * 2**10)
open(sys.argv[1], "w").write("done")
sys.exit(7)
"""


def test_what_nobody_reads_any_more_ends_nothing(tmp_path: Path) -> None:
    command = f"\"{sys.executable}\" -c '{_PRINT_ON}' {tmp_path}/result 2>&1 | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "first\n", "")
    assert (tmp_path / "result").read_text() == "done"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f'set -o pipefail; "{sys.executable}" -m psol_ray.cli index --help | true'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
