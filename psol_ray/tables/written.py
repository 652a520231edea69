"""Who wrote a part, and when: beside what made it in the file's metadata, and no part of any fingerprint."""

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

__all__ = ["WRITTEN", "Written"]

WRITTEN = b"psol_ray_written"


@dataclass(frozen=True)
class Written:
    """A worker's part: on which machine, by which process, when it was done (seconds since 1970)."""

    host: str
    process: int
    time: float

    @classmethod
    def now(cls) -> Self:
        """By this process."""
        return cls(socket.gethostname(), os.getpid(), round(time.time(), 2))

    def to_json(self) -> bytes:
        """As kept in a part's metadata."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of(cls, metadata: Mapping[bytes, bytes] | None) -> Self | None:
        """Inverse of `to_json`, of a file's metadata; None where they do not say."""
        try:
            found = json.loads((metadata or {})[WRITTEN])
            return cls(str(found["host"]), int(found["process"]), float(found["time"]))
        except (KeyError, TypeError, ValueError):
            return None
