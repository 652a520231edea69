"""One file, or the place of many, on any pyarrow filesystem."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from psol_ray.errors import UserError, without_secrets
from psol_ray.tables.fsspec_stores import open_by_fsspec
from psol_ray.tables.patience import patiently, sentence

__all__ = ["absolute", "open_uri", "read_file"]


def open_uri(setting: str, uri: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a local path or a URI such as `s3://bucket/path`, and the path in it.

    Args:
        setting: the field that holds it, for messages.
        uri: what it holds.

    Raises:
        UserError: there is no such file system, or the URI has a `#`.
    """
    if "://" in uri:
        shown = without_secrets(uri)
        _check_whole(setting, uri)
        with sentence(f"{setting}: {shown!r} cannot be opened", "give a local path, or a URI such as s3://bucket/path"):
            try:
                return pafs.FileSystem.from_uri(uri)
            except pa.ArrowInvalid as error:
                if "Unrecognized filesystem type" not in str(error):
                    raise
                return open_by_fsspec(uri)
    return pafs.LocalFileSystem(), absolute(uri)


def _check_whole(what: str, uri: str) -> None:
    """Of what is behind a `#` a store would never hear, so that two addresses would be one."""
    if "#" in uri:
        raise UserError(f"{what}: found a # in {without_secrets(uri)!r}, where an address ends; write %23 for it")


def absolute(path: str) -> str:
    """A local path as others can use it, who need not share this process's working directory.

    With `..` it is the real one: behind a link that is another than the one before it, which `abspath` would name.
    URIs are that already, but for `file://`, which is a path.

    Raises:
        UserError: a `file://` has a `#`.
    """
    if path.startswith("file://"):
        _check_whole("a path", path)
        path = unquote(urlsplit(path).path)
    if "://" in path:
        return path.rstrip("/") if "?" not in path else path
    return os.path.realpath(path) if ".." in Path(path).parts else os.path.abspath(path)


def read_file(setting: str, uri: str) -> bytes | None:
    """Content of one file, or None where there is none; for the arguments see `open_uri`.

    Raises:
        UserError: it cannot be read.
    """
    fs, path = open_uri(setting, uri)

    def read() -> bytes | None:
        if fs.get_file_info(path).type != pafs.FileType.File:
            return None
        with fs.open_input_stream(path) as stream:
            return stream.read()

    with sentence(f"{setting}: {without_secrets(uri)!r} cannot be read", "fix that, or give another"):
        return patiently(fs, path, read)
