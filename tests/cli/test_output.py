"""Output to terminals and logs of any kind, by real processes."""

import os
import subprocess
import sys

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


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f'set -o pipefail; "{sys.executable}" -m psol_ray.cli index --help | true'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
