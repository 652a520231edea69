"""Batches of the images of catalog rows, decoded ahead of whoever works on them."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.errors import ImagesAway
from psol_ray.images.batch import DecodedBatch, Decoder
from psol_ray.images.prefetch import prefetch
from psol_ray.storage.addresses import Address
from psol_ray.storage.ahead import fetched
from psol_ray.work.counters import timed

__all__ = ["Absences", "decode_ahead", "decode_what_is_here", "has_size"]

T = TypeVar("T")

# Half a minute in all: a file server that starts anew takes some twenty seconds.
_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0)
# After pauses that were in vain. A hundred files that are gone for good would otherwise cost an hour of them.
_NO_PAUSE_SECONDS = 600.0


def decode_ahead(
    paths: Sequence[Address], decode: Callable[[Sequence[Address]], T], batch_size: int
) -> Iterator[tuple[slice, T]]:
    """Which rows a batch holds, and what `decode` makes of their files, one batch ahead in a thread."""
    starts = range(0, len(paths), batch_size)
    rows = (slice(start, min(start + batch_size, len(paths))) for start in starts)
    with fetched(paths):
        yield from timed(prefetch(rows, [lambda these: (these, decode(paths[these]))]))


@dataclass
class Absences:
    """The files that are away, as far as somebody who decodes batch after batch knows, and whether to wait for more.

    What is away for the first time is waited for half a minute, in the hope that it passes; what was waited for in vain
    is not waited for again, and for ten minutes nothing else is, so that a folder that is away is known to be within a
    minute. For any number of threads.
    """

    known: set[Address] = field(default_factory=set)
    """Replaced as a whole, so that any thread may read it."""
    waiting: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one thread that waits: what comes of it holds for the others, too."""
    _in_vain_at: float = float("-inf")
    _noting: threading.Lock = field(default_factory=threading.Lock)

    def pauses(self) -> Sequence[float]:
        """Seconds to wait before each further look; for who holds `waiting`."""
        return _PAUSES_SECONDS if time.monotonic() - self._in_vain_at > _NO_PAUSE_SECONDS else ()

    def note_look(self, away: set[Address]) -> None:
        """After a pause these were away."""
        self._in_vain_at = float("-inf") if away <= self.known else time.monotonic()

    def note(self, paths: Sequence[Address], away: set[Address]) -> None:
        """It is believed that of these files those are away."""
        with self._noting:
            self.known = self.known.difference(paths) | away


def decode_what_is_here(
    decoder: Decoder,
    paths: Sequence[Address],
    absences: Absences,
    regions_N4: NDArray[np.integer] | None = None,
    flips_N: NDArray[np.bool_] | None = None,
) -> tuple[DecodedBatch, set[Address]]:
    """What `decoder` makes of these files, and which of them are away; those are not ok.

    `absences` is the same for all batches of whoever wants them.
    """
    decoded, away = _decode_now(decoder, paths, regions_N4, flips_N)
    if not away <= absences.known:
        decoded, away = _wait(partial(_decode_now, decoder, paths, regions_N4, flips_N), absences, decoded, away)
    absences.note(paths, away)
    return decoded, away


def _wait(
    look: Callable[[], tuple[DecodedBatch, set[Address]]], absences: Absences, decoded: DecodedBatch, away: set[Address]
) -> tuple[DecodedBatch, set[Address]]:
    """What `look` gives in the end, if it is `decoded` and `away` now."""
    waits_for_another = not absences.waiting.acquire(blocking=False)
    if waits_for_another:
        absences.waiting.acquire()
    try:
        if waits_for_another:
            decoded, away = look()
        for seconds in absences.pauses():
            if away <= absences.known:
                break
            time.sleep(seconds)
            decoded, away = look()
            absences.note_look(away)
        return decoded, away
    finally:
        absences.waiting.release()


def _decode_now(
    decoder: Decoder,
    paths: Sequence[Address],
    regions_N4: NDArray[np.integer] | None,
    flips_N: NDArray[np.bool_] | None,
) -> tuple[DecodedBatch, set[Address]]:
    away: set[Address] = set()
    while True:
        try:
            here = ["" if path in away else path for path in paths]
            return decoder.decode(here, regions_N4, flips_N), away
        except ImagesAway as error:
            # Again, because one may go while the others are decoded.
            away |= set(error.paths)


def has_size(images: pa.Table) -> NDArray[np.bool_]:
    """Which catalog rows have a size: shape (N,). One without is unreadable, even where a decoder could take it.

    A picture too large for Pillow has no size in the catalog; DALI may read it, but its box would mean nothing.
    """
    return np.asarray(images.column("width").to_numpy() > 0)
