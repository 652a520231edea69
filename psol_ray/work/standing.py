"""How the work of this process stands, in a few facts that whoever looks from outside may want to read.

Those who work note them as they go; the holder of a stage's lease writes them into the stage's folder.
"""

import threading
from typing import Any

__all__ = ["clear", "facts", "note"]

_facts: dict[str, Any] = {}
_lock = threading.Lock()


def note(**facts: Any) -> None:
    """Note facts, fit for JSON, in place of what was noted under their names."""
    with _lock:
        _facts.update(facts)


def facts() -> dict[str, Any]:
    """All that was noted since the last `clear`."""
    with _lock:
        return dict(_facts)


def clear() -> None:
    """Forget it all: something else begins."""
    with _lock:
        _facts.clear()
