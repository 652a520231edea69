"""Fetches what will be read next from stores and shards, many requests at a time, in bounded memory.

A store answers after tens of milliseconds, whatever it is asked for. So whoever knows which images it is going to
decode says so, and reads them later; images that lie side by side in a shard come by one request.
"""

import errno
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from psol_ray.storage.addresses import Address, Cell, Span
from psol_ray.storage.reader import NUM_CONNECTIONS, read, read_together

__all__ = ["fetch_ahead", "fetched", "read_bytes", "read_fetched"]

T = TypeVar("T")
_Remote = Span | Cell

_MOST_BYTES = 1 << 28
# One request for neighbours in a shard: at 100 kB an image some forty, in which the time to answer no longer counts.
_BYTES_A_REQUEST = 1 << 22
# Of Parquet one cannot know how many bytes a row has; requests for rows of one group share what is decoded.
_ROWS_A_REQUEST = 16
# What lies between two images of a shard (their headers, labels, texts) costs less than another request.
_MOST_BETWEEN = 1 << 16


@contextmanager
def fetched(addresses: Sequence[Address], uses: int = 1) -> Iterator[None]:
    """Fetch these images ahead, in their order, for as long as the block runs. Files of this machine are not fetched.

    Args:
        addresses: what the block is going to read by `read_fetched`.
        uses: how often it is going to read each.
    """
    remote = [address for address in addresses if not isinstance(address, str)]
    if not remote:
        yield
        return
    _ahead().want(remote, uses)
    try:
        yield
    finally:
        _ahead().forget(remote)


def fetch_ahead(
    items: Iterable[T], addresses_of: Callable[[T], Sequence[Address]], depth: int
) -> Generator[tuple[T, ExitStack], None, None]:
    """The same items, while the images of the `depth` that follow are fetched.

    With each comes what its reader has to close: then what was not read of its images is dropped. Several threads may
    take items in turn, and be at work on some of them.
    """
    waiting: deque[tuple[T, ExitStack]] = deque()
    try:
        for item in items:
            fetching = ExitStack()
            fetching.enter_context(fetched(addresses_of(item)))
            waiting.append((item, fetching))
            if len(waiting) > depth:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        for _, fetching in waiting:
            fetching.close()


def read_fetched(address: _Remote) -> bytes:
    """The bytes of an image: those that were fetched ahead, else by a request of its own.

    Raises:
        OSError: see `storage.reader.read`.
    """
    return _ahead().take(address)


def read_bytes(address: Address) -> bytes:
    """The bytes of an image, wherever it is.

    Raises:
        OSError: see `storage.reader.read`.
    """
    return Path(address).read_bytes() if isinstance(address, str) else read_fetched(address)


@cache
def _ahead() -> "_Ahead":
    return _Ahead()


@dataclass
class _Entry:
    """An image that somebody wants: its outcome, once it was fetched."""

    uses: int
    outcome: bytes | OSError | None = None

    @property
    def size(self) -> int:
        return len(self.outcome) if isinstance(self.outcome, bytes) else 0


class _Ahead:
    """One a process. What is read before its turn is not waited for, so that no reader can block another."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: OrderedDict[_Remote, _Entry] = OrderedDict()
        self._begun: dict[_Remote, _Entry] = {}
        self._held = 0
        for _ in range(NUM_CONNECTIONS):
            # Daemons: a Ray actor with any other thread never exits.
            threading.Thread(target=self._fetch_all, daemon=True, name="fetch").start()

    def want(self, addresses: Sequence[_Remote], uses: int) -> None:
        with self._changed:
            for address in addresses:
                entry = self._waiting.get(address) or self._begun.get(address)
                if entry is None:
                    self._waiting[address] = _Entry(uses)
                else:
                    entry.uses += uses
            self._changed.notify_all()

    def forget(self, addresses: Sequence[_Remote]) -> None:
        """Drop what nobody has read of these. Somebody else who wants the same reads it by himself."""
        with self._changed:
            for address in addresses:
                self._waiting.pop(address, None)
                self._drop(address)
            self._changed.notify_all()

    def take(self, address: _Remote) -> bytes:
        with self._changed:
            # It is fetched soon, unless what others have not read yet takes all the room.
            while address in self._waiting and self._held < _MOST_BYTES:
                self._changed.wait()
            self._waiting.pop(address, None)
            entry = self._begun.get(address)
            while entry is not None and entry.outcome is None:
                self._changed.wait()
            if entry is not None:
                entry.uses -= 1
                if not entry.uses:
                    self._drop(address)
                    self._changed.notify_all()
        if entry is None or entry.outcome is None:
            return read(address)
        if isinstance(entry.outcome, OSError):
            raise entry.outcome
        return entry.outcome

    def _drop(self, address: _Remote) -> None:
        entry = self._begun.pop(address, None)
        if entry is not None:
            self._held -= entry.size

    def _fetch_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting or self._held >= _MOST_BYTES:
                    self._changed.wait()
                wanted = self._next()
            outcomes = _outcomes(list(wanted))
            with self._changed:
                for (address, entry), outcome in zip(wanted.items(), outcomes, strict=True):
                    entry.outcome = outcome
                    if self._begun.get(address) is entry:
                        self._held += entry.size
                self._changed.notify_all()

    def _next(self) -> dict[_Remote, _Entry]:
        """The first that waits, and those behind it that one request can bring."""
        address, entry = self._waiting.popitem(last=False)
        wanted = {address: entry}
        while self._waiting and _belongs(next(iter(self._waiting)), list(wanted)):
            address, entry = self._waiting.popitem(last=False)
            wanted[address] = entry
        self._begun |= wanted
        return wanted


def _belongs(address: _Remote, wanted: Sequence[_Remote]) -> bool:
    """Whether one request can bring this one, too."""
    first, last = wanted[0], wanted[-1]
    if (address.root, address.file) != (first.root, first.file):
        return False
    if isinstance(address, Cell) or isinstance(first, Cell) or isinstance(last, Cell):
        return len(wanted) < _ROWS_A_REQUEST
    if address.length < 0 or last.length < 0:
        return False
    between = address.offset - (last.offset + last.length)
    return 0 <= between <= _MOST_BETWEEN and address.offset + address.length - first.offset <= _BYTES_A_REQUEST


def _outcomes(addresses: Sequence[_Remote]) -> list[bytes | OSError]:
    try:
        return read_together(addresses)
    except Exception as error:  # else whoever waits for it would wait for ever
        unforeseen = OSError(errno.EIO, f"{type(error).__name__}: {error}", str(addresses[0]))
        return [unforeseen for _ in addresses]
