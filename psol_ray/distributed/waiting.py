"""What a pool waits for: who has not got on for how long, and what is said of it, once a minute."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from psol_ray.log import say

__all__ = ["FROZEN_SECONDS", "Pulse", "Teller"]

# A worker that nothing was heard of for so long is frozen, where somebody else has time for its jobs. A batch takes
# seconds, and minutes from a storage that is asleep.
FROZEN_SECONDS = 300.0
_QUIET_SECONDS = 60.0


@dataclass
class Pulse:
    """When somebody was last seen to get on."""

    at: float = field(default_factory=time.monotonic)
    _counts: Mapping[str, int] = field(default_factory=dict)

    def beat(self) -> None:
        """It has just answered, or been given something."""
        self.at = time.monotonic()

    def see(self, counts: Mapping[str, int]) -> None:
        """Images done of each of its jobs, by name: where they are others than before, it has got on."""
        if counts != self._counts:
            self._counts = dict(counts)
            self.beat()

    @property
    def silent_s(self) -> float:
        """Seconds since."""
        return time.monotonic() - self.at


@dataclass
class Teller:
    """Says on stderr what is waited for, each thing once a minute; what takes less than `quiet_s` is not worth it."""

    quiet_s: float = _QUIET_SECONDS
    _told_at: dict[str, float] = field(default_factory=dict)

    def tell(self, what: str, seconds: float, rest: str) -> None:
        """Say `WHAT for 60 s; REST`, unless that is short, or was said within the last minute."""
        now = time.monotonic()
        if seconds >= self.quiet_s and now - self._told_at.get(what, float("-inf")) >= _QUIET_SECONDS:
            self._told_at[what] = now
            say(f"{what} for {seconds:.0f} s; {rest}")
