"""Output that fits whatever it goes to: a terminal or log of any encoding, a pipe that is closed early, or nothing."""

import codecs
import io
import os
import sys

__all__ = ["adapt_streams"]


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


class _Unread(io.TextIOWrapper):
    """A stream whose reader may leave: a command goes on, and what is written from then on goes nowhere."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            self._lead_nowhere()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            self._lead_nowhere()

    def _lead_nowhere(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def adapt_streams() -> None:
    """Have what an encoding lacks replaced: a dash that it cannot write is no reason to end a run.

    Nor is a reader that has left (`psol ... | head`). A process that was started without a standard stream (a
    daemon's, say) gets one that leads nowhere.
    """
    codecs.register_error("plain", _replace)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif type(stream) is io.TextIOWrapper:  # not what a test, say, has put in its place
            stream.flush()
            buffer, line_buffering = stream.buffer, stream.line_buffering
            setattr(sys, name, _Unread(buffer, stream.encoding, "plain", line_buffering=line_buffering))
        elif isinstance(stream, io.TextIOWrapper) and stream.errors != "plain":
            stream.reconfigure(errors="plain")
