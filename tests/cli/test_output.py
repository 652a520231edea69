"""Output to terminals and logs of any kind, by real processes."""

import os
import subprocess
import sys

import pytest

_PRINT = """
import sys
from psol_ray.cli.output import adapt_streams
adapt_streams()
print("a é 中")
print("b é 中", file=sys.stderr)
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8"])
def test_what_an_encoding_lacks_is_replaced(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PRINT], capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"a ")
    if encoding == "utf-8":
        assert done.stdout.decode() == "a é 中\n"


def test_closed_streams_are_no_error() -> None:
    command = f"\"{sys.executable}\" -c '{_PRINT}' >&- 2>&-"
    assert subprocess.run(["sh", "-c", command]).returncode == 0


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f'set -o pipefail; "{sys.executable}" -m psol_ray.cli index --help | true'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
