"""Lines on stderr: plain on a terminal, and in a log with all that a search needs."""

import os
import pty
import re
import socket
import subprocess
import sys

import pytest

from psol_ray.log import Subject, about, say, speak_of, subject

_SAY = """
from psol_ray.log import about, say
with about(run="cub"), about(stage="boxes"):
    say("a line")
"""


def test_a_log_says_when_where_and_of_what(capsys: pytest.CaptureFixture[str]) -> None:
    with about(run="cub"):
        with about(stage="boxes"):
            say("one: two")
            speak_of(Subject("cub", "boxes", "worker 3"))
            say("three")
        say("four")
    say("five")
    stamp, host = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", re.escape(socket.gethostname())
    expected = ("cub/boxes: one: two", "cub/boxes worker 3: three", "cub: four")
    *lines, last = capsys.readouterr().err.splitlines()
    for line, rest in zip(lines, expected, strict=True):
        assert re.fullmatch(f"{stamp} {host} {rest}", line)
    assert re.fullmatch(f"{stamp} {host}: five", last)
    assert subject() == Subject()


def test_a_terminal_shows_the_line_alone() -> None:
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", _SAY], stderr=theirs, check=True)
    os.close(theirs)
    assert os.read(ours, 100) == b"a line\r\n"
    os.close(ours)
