"""A small file written, read and deleted where results are to go: what is wrong with the place is told before work."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pyarrow.fs as pafs

from psol_ray.errors import UserError
from psol_ray.tables.folder import UNFINISHED, Folder
from psol_ray.tables.patience import impatiently

__all__ = ["rehearse", "without_trace"]


def rehearse(folder: Folder) -> float:
    """Write a small file as results are written, read it again and delete it; leaves nothing behind.

    Returns:
        seconds that it took.

    Raises:
        UserError: one of these cannot be done, or what is read is not what was written. Nothing is tried again.
    """
    name, content = f".trial-{uuid.uuid4().hex}{UNFINISHED}", os.urandom(1024)
    with impatiently(), without_trace(folder):
        started = time.monotonic()
        folder.write_bytes(name, content)
        if folder.read_bytes(name) != content:
            raise UserError(
                f"{folder.address}: found another content in a file than was written, expected a file system that shows"
                " what it has taken; use another run_dir"
            )
        folder.delete(pafs.FileInfo(f"{folder.path}/{name}", pafs.FileType.File))
        return time.monotonic() - started


@contextmanager
def without_trace(folder: Folder) -> Iterator[None]:
    """Remove after the block what folders it has made for this one, unless something is in them."""
    new = _missing(folder.path) if folder.fs.type_name == "local" else []
    try:
        yield
    finally:
        with suppress(OSError):
            for path in new:
                os.rmdir(path)


def _missing(path: str) -> list[str]:
    """This folder and those above it that are not there, the lowest first."""
    return [] if os.path.exists(path) else [path, *_missing(os.path.dirname(path))]
