"""Output that fits whatever it goes to: a terminal or log of any encoding, a pipe that is closed early, or nothing."""

import codecs
import io
import os
import sys

__all__ = ["adapt_streams", "silence"]


_PLAIN = {
    "\N{EN DASH}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{NO-BREAK SPACE}": " ",
}


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in lacking), error.end


def adapt_streams() -> None:
    """Have what an encoding lacks replaced: a dash that it cannot write is no reason to end a run.

    A process that was started without a standard stream (a daemon's, say) gets one that leads nowhere.
    """
    codecs.register_error("plain", _replace)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and stream.errors != "plain":
            stream.reconfigure(errors="plain")


def silence() -> None:
    """Nobody reads standard output any more: what Python still flushes at its end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
