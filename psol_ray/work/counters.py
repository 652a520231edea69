"""What a process that works on images counts: how long network and decoders wait for each other, and rows by status."""

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.tables.schemas import MISSING, OK, UNREADABLE

__all__ = ["WAITS", "Seconds", "Waits", "statuses", "timed"]

T = TypeVar("T")


class Seconds(NamedTuple):
    """`decode` is what the network has waited for decoded images, `network` what decoded images have waited for it."""

    decode: float = 0.0
    network: float = 0.0


@dataclass
class Waits:
    """Adds up seconds, from any thread, until somebody takes them."""

    _seconds: Seconds = Seconds()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *, decode: float = 0.0, network: float = 0.0) -> None:
        """So much more."""
        with self._lock:
            self._seconds = Seconds(self._seconds.decode + decode, self._seconds.network + network)

    def take(self) -> Seconds:
        """All that was added since the last time."""
        with self._lock:
            taken, self._seconds = self._seconds, Seconds()
            return taken


WAITS = Waits()
"""This process's."""


def timed(batches: Iterable[T]) -> Iterator[T]:
    """The same batches. Until the next one comes is waiting for decoders; until it is asked for, for the network."""
    asked = time.perf_counter()
    for batch in batches:
        came = time.perf_counter()
        WAITS.add(decode=came - asked)
        yield batch
        asked = time.perf_counter()
        WAITS.add(network=asked - came)


def statuses(tables: Mapping[str, pa.Table], left_out: Collection[str] = ()) -> dict[str, int]:
    """How many images a job's parts have of each status. Predictions have no column of it: NaN is no image.

    Args:
        tables: rows by the name of their table.
        left_out: ids of images that nobody has opened.
    """
    for table in tables.values():
        if "status" in table.column_names:
            return {row["values"]: row["counts"] for row in pc.value_counts(table["status"]).to_pylist()}
    table = next(iter(tables.values()))
    without = pc.is_nan(table["x0"]) if "x0" in table.column_names else pa.array(np.zeros(len(table), bool))
    if not left_out:
        missing = pa.array(np.zeros(len(table), bool))
    else:
        missing = pc.and_(without, pc.is_in(table["image_id"], pa.array(list(left_out), pa.string())))
    num_without, num_missing = (pc.sum(mask).as_py() or 0 for mask in (without, missing))
    counts = {OK: len(table) - num_without, UNREADABLE: num_without - num_missing, MISSING: num_missing}
    return {status: count for status, count in counts.items() if count}
