"""Opens image files: never waits for a pipe, and tells a file that cannot be read from one that is no image.

What lies in a store or in a shard is read as a whole, or was fetched already.
"""

import errno
import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, TypeVar

from psol_ray.errors import ImagesAway
from psol_ray.storage.addresses import Address
from psol_ray.storage.ahead import read_fetched

__all__ = ["Source", "known", "open_image_file", "read_whole"]

T = TypeVar("T")


Source = Address | bytes
"""Where an image is, or its bytes, where these were read already."""


@contextmanager
def open_image_file(source: Source) -> Iterator[IO[bytes]]:
    """Open a file for whoever parses it.

    Raises:
        OSError: it cannot be opened or is no regular file; or reading it failed, whatever the block made of that.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    if not isinstance(source, str):
        yield io.BytesIO(read_fetched(source))
        return
    path = source
    with _Watched(path, opener=_open) as raw:
        try:
            yield io.BufferedReader(raw)
        finally:
            if raw.failure is not None:
                raise raw.failure


def read_whole(address: Address, signature: bytes, most: int) -> tuple[bytes | None, Source]:
    """The content of a file that begins with `signature` and has at most `most` bytes, None for another; and what
    `open_image_file` opens, so that what is far away is not read twice.

    Raises:
        OSError: it cannot be opened or read, or is no regular file.
    """
    if isinstance(address, str):
        return _read_file(address, signature, most), address
    data = read_fetched(address)
    return data if len(data) <= most and data.startswith(signature) else None, data


def _read_file(path: str, signature: bytes, most: int) -> bytes | None:
    descriptor = _open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if size > most or os.pread(descriptor, len(signature), 0) != signature:
            return None
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def known(paths: Sequence[Address], outcomes: Sequence[T | OSError]) -> list[T]:
    """What became of files, once none of them is an OSError.

    Raises:
        ImagesAway: some are; it names their files.
    """
    away = {path: error for path, error in zip(paths, outcomes, strict=True) if isinstance(error, OSError)}
    if away:
        first = next(iter(away.values()))
        raise ImagesAway(tuple(away), first.strerror or str(first))
    return [outcome for outcome in outcomes if not isinstance(outcome, OSError)]


class _Watched(io.FileIO):
    """Remembers that reading failed: who parses an image takes any error for the image's."""

    failure: OSError | None = None

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer)
        except OSError as error:
            self.failure = error
            raise

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            self.failure = error
            raise

    def fileno(self) -> int:
        """None is given away: libtiff would read from it by itself, and nobody would know what failed."""
        raise io.UnsupportedOperation("fileno")


def _open(path: str, flags: int) -> int:
    # Without waiting for somebody to write, should it be a pipe.
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file", path)
    return descriptor
