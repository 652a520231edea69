"""Output that fits whatever it goes to: a terminal or log of any encoding, a pipe that is closed early, or nothing."""

import io
import os
import sys

__all__ = ["adapt_streams", "silence"]


def adapt_streams() -> None:
    """Have what an encoding lacks replaced: a dash that becomes `?` is no reason to end a run.

    A process that was started without a standard stream (a daemon's, say) gets one that leads nowhere.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace" if name == "stderr" else "replace")


def silence() -> None:
    """Nobody reads standard output any more: what Python still flushes at its end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
