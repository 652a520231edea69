"""How fast something gets on: by the last minute, because a mean since the start tells neither of a slow start nor of a
stop."""

from collections import deque
from dataclasses import dataclass, field

__all__ = ["QUIET_SECONDS", "Pace", "duration"]

QUIET_SECONDS = 120.0
"""Who has not got on for so long is worth a word."""
_WINDOW_SECONDS = 60.0


@dataclass
class Pace:
    """Images done at several times, in seconds of one clock.

    What came first counts as a beginning and not for the rate: until then workers have started.
    """

    began: float
    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _done: int = 0
    _changed: float = 0.0

    def __post_init__(self) -> None:
        self._changed = self.began

    def restart(self, at: float, done: int) -> None:
        """Something begins anew, of which so many are done already."""
        self.began = self._changed = at
        self._done = done
        self._seen.clear()

    def see(self, at: float, done: int) -> None:
        """So many are done by now."""
        if done == self._done:
            return
        self._done, self._changed = done, at
        self._seen.append((at, done))
        # The last that is older than a minute stays, so that a whole one is known.
        while len(self._seen) > 2 and self._seen[1][0] <= at - _WINDOW_SECONDS:
            self._seen.popleft()

    def rate(self, at: float) -> float | None:
        """Images a second over the last minute, or since the last time but one that some came, where that is longer;
        None before that is known. It falls while nothing comes."""
        if len(self._seen) < 2:
            return None
        *before, _ = self._seen
        started, done = next((seen for seen in reversed(before) if seen[0] <= at - _WINDOW_SECONDS), before[0])
        return (self._done - done) / (at - started)

    def quiet_s(self, at: float) -> float:
        """Seconds since it got on, or began."""
        return at - self._changed


def duration(seconds: float) -> str:
    """A length of time to read: `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
