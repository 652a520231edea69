"""Weights that lie in a store: a copy on this machine, made once for each content."""

import hashlib
import os
import uuid
from pathlib import Path

import pyarrow.fs as pafs

from psol_ray.errors import UserError, without_secrets
from psol_ray.tables.files import open_uri
from psol_ray.tables.fsspec_stores import version_of
from psol_ray.tables.patience import address_of, patiently, sentence

__all__ = ["local_copy"]

_BYTES_AT_ONCE = 1 << 24


def local_copy(uri: str) -> Path:
    """The file on this machine, below `$XDG_CACHE_HOME` or `~/.cache`. Only a command's driver reads weights.

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    fs, path = open_uri("weights", uri)
    shown = without_secrets(uri)
    with sentence(f"weights {shown!r} cannot be read", "check the address, the endpoint and your credentials"):
        info = patiently(fs, path, lambda: fs.get_file_info(path))
        if info.type != pafs.FileType.File:
            raise UserError(f"weights {shown!r}: no such file; expected a path, a URI or 'default'")
        # Another file of this name has another version.
        version = patiently(fs, path, lambda: version_of(fs, info))
        told = f"{address_of(fs, path)} {info.size} {version}"
        copy = _folder() / f"{hashlib.sha256(told.encode()).hexdigest()[:16]}-{info.base_name}"
        if version is None or not copy.is_file():
            patiently(fs, path, lambda: _copy(fs, path, copy))
    return copy


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "psol_ray" / "weights"


def _copy(fs: pafs.FileSystem, path: str, copy: Path) -> None:
    """Whole or not at all: two commands may do so at once."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    unfinished = copy.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with fs.open_input_stream(path) as stream, unfinished.open("wb") as file:
            while data := stream.read(_BYTES_AT_ONCE):
                file.write(data)
        unfinished.replace(copy)
    finally:
        unfinished.unlink(missing_ok=True)
