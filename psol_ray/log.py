"""Lines on stderr. In a log each begins with its time, the machine, the run and the stage; on a terminal with nothing.

What a process is busy with is one thing at a time, so it is kept for the process, and all its threads speak of it.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

__all__ = ["Subject", "about", "now", "prefix", "say", "speak_of", "subject"]


@dataclass(frozen=True)
class Subject:
    """What a process is busy with: a run by its name, a stage of it, and who of several it is ("worker 3")."""

    run: str = ""
    stage: str = ""
    who: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, ("/".join(filter(None, (self.run, self.stage))), self.who)))


_current = Subject()


def subject() -> Subject:
    """What this process is busy with."""
    return _current


def speak_of(what: Subject) -> None:
    """From now on this process is busy with that."""
    global _current
    _current = what


@contextmanager
def about(*, run: str = "", stage: str = "") -> Iterator[None]:
    """For the block this process is busy with that run and stage; what is empty stays as it is."""
    before = _current
    speak_of(replace(before, run=run or before.run, stage=stage or before.stage))
    try:
        yield
    finally:
        speak_of(before)


def now() -> str:
    """The time as logs have it: ISO 8601 to the second, with the offset of this machine's zone."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def prefix() -> str:
    """What a line of a log begins with: `2026-11-27T02:13:05+00:00 head-1 imagenet/boxes: `."""
    return f"{' '.join(filter(None, (now(), socket.gethostname(), str(_current))))}: "


def say(message: str) -> None:
    """Print a line on stderr, at once."""
    begins = "" if sys.stderr.isatty() else prefix()
    print(f"{begins}{message}", file=sys.stderr, flush=True)
