"""Row groups of Parquet, in bounded memory.

Cells are compressed by row groups, so one costs as much as all of its group, which may be a whole file. A group is
decoded by one thread, for all that want rows of it meanwhile, and kept until others need the room.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

__all__ = ["RowGroups"]

_MOST_BYTES = 1 << 28


@dataclass(eq=False)
class _Group:
    """A group that somebody wants, or has wanted."""

    size: int
    num_users: int = 0
    images: pa.ChunkedArray | None = None
    decoding: threading.Lock = field(default_factory=threading.Lock)


class RowGroups:
    """Those that are decoded now, and the last that were: `_MOST_BYTES` of them, or one that is larger."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._groups: OrderedDict[Any, _Group] = OrderedDict()  # the last used is the last

    @contextmanager
    def using(self, key: Any, size: int, decode: Callable[[], pa.ChunkedArray]) -> Iterator[pa.ChunkedArray]:
        """The images of a group, decoded by whoever comes first. Who holds one must not ask for another.

        Args:
            key: what it is known by.
            size: what decoding it takes, in bytes.
            decode: reads it; where that fails, whoever comes next tries it himself.
        """
        group = self._enter(key, size)
        try:
            with group.decoding:
                if group.images is None:
                    group.images = decode()
            yield group.images
        finally:
            with self._changed:
                group.num_users -= 1
                self._changed.notify_all()

    def _enter(self, key: Any, size: int) -> _Group:
        with self._changed:
            while key not in self._groups and not self._make_room(size):
                self._changed.wait()
            group = self._groups.setdefault(key, _Group(size))
            self._groups.move_to_end(key)
            group.num_users += 1
            return group

    def _make_room(self, size: int) -> bool:
        """Drop what nobody uses, the oldest first, as far as needed; whether there is room then."""
        for key in [key for key, group in self._groups.items() if not group.num_users]:
            if self._has_room(size):
                break
            del self._groups[key]
        return self._has_room(size)

    def _has_room(self, size: int) -> bool:
        return not self._groups or sum(group.size for group in self._groups.values()) + size <= _MOST_BYTES
