"""What Ray has to tell a driver of nodes and workers that died, as a line of the log each."""

import re
import time
from collections.abc import Mapping
from typing import Any

from ray._private import worker

from psol_ray.log import say

__all__ = ["shorten_messages"]

_AGAIN_SECONDS = 60.0
_LONGEST = 300
_told_at: dict[str, float] = {}


def shorten_messages() -> None:
    """From now on Ray's messages to this driver are a line each, and one that comes again within a minute is not shown.

    Of a node that died, it would print some 25 lines of the state of its processes, twice. They are in its logs.
    """
    if hasattr(worker, "print_to_stdstream"):  # it is not public, and need not be there
        worker.print_to_stdstream = _tell


def _tell(data: Mapping[str, Any], *_: Any, **__: Any) -> None:
    for message in data.get("lines", ()):
        first, *rest = [line.strip() for line in str(message).splitlines() if line.strip()] or [""]
        # Numbers tell apart what says the same.
        kind = re.sub(r"[0-9a-f]{8,}|\d+", "#", first)
        if first and time.monotonic() - _told_at.get(kind, float("-inf")) > _AGAIN_SECONDS:
            _told_at[kind] = time.monotonic()
            more = f" ... ({len(rest)} more lines in Ray's logs)" if rest else ""
            say(f"Ray says: {first[:_LONGEST]}{more}")
