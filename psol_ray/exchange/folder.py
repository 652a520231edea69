"""A folder that appears whole or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psol_ray.errors import UserError

__all__ = ["whole_folder"]


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """A sibling to write to, that takes the name of `folder` once the block ends without an exception.

    Raises:
        UserError: `folder` is a file, holds something, or is a URI.
    """
    target = Path(folder)
    if "://" in str(folder):
        raise UserError(f"{folder}: exports go to a local folder; export to one and copy it from there")
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise UserError(f"{folder}: found something there, expected a new or empty folder; give another one")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.parent / f".{target.name}.{uuid.uuid4().hex}.tmp"
    unfinished.mkdir()
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
