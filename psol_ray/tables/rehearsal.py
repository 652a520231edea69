"""A small file written, read and deleted where results are to go: what is wrong with the place is told before work."""

import os
import time
import uuid
from contextlib import suppress

import pyarrow.fs as pafs

from psol_ray.errors import UserError
from psol_ray.tables.folder import UNFINISHED, Folder
from psol_ray.tables.patience import impatiently

__all__ = ["rehearse"]


def rehearse(folder: Folder) -> float:
    """Write a small file as results are written, read it again and delete it; leaves nothing behind.

    Returns:
        seconds that it took.

    Raises:
        UserError: one of these cannot be done, or what is read is not what was written. Nothing is tried again.
    """
    name, content = f".trial-{uuid.uuid4().hex}{UNFINISHED}", os.urandom(1024)
    with impatiently():
        new = [] if folder.fs.type_name != "local" else _missing(folder.path)
        started = time.monotonic()
        folder.write_bytes(name, content)
        if folder.read_bytes(name) != content:
            raise UserError(
                f"{folder.address}: found another content in a file than was written, expected a file system that shows"
                " what it has taken; use another run_dir"
            )
        folder.delete(pafs.FileInfo(f"{folder.path}/{name}", pafs.FileType.File))
        seconds = time.monotonic() - started
    with suppress(OSError):  # another has begun to use them
        for path in new:
            os.rmdir(path)
    return seconds


def _missing(path: str) -> list[str]:
    """This folder and those above it that are not there, the lowest first."""
    return [] if os.path.exists(path) else [path, *_missing(os.path.dirname(path))]
