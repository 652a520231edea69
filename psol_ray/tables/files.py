"""One file, or the place of many, on any pyarrow filesystem."""

import os

import pyarrow as pa
import pyarrow.fs as pafs

from psol_ray.errors import UserError, first_line

__all__ = ["open_uri", "read_file"]


def open_uri(setting: str, uri: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a local path or a URI such as `s3://bucket/path`, and the path in it.

    Args:
        setting: the field that holds it, for messages.
        uri: what it holds.

    Raises:
        UserError: there is no such file system.
    """
    if "://" in uri:
        try:
            return pafs.FileSystem.from_uri(uri)
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{setting}: {uri!r} cannot be opened ({first_line(error)}); give a local path or an s3:// URI"
            ) from None
    # Absolute, because workers need not share the driver's working directory.
    return pafs.LocalFileSystem(), os.path.abspath(uri)


def read_file(setting: str, uri: str) -> bytes | None:
    """Content of one file, or None where there is none; for the arguments see `open_uri`.

    Raises:
        UserError: it cannot be read.
    """
    fs, path = open_uri(setting, uri)
    try:
        if fs.get_file_info(path).type != pafs.FileType.File:
            return None
        with fs.open_input_stream(path) as stream:
            return stream.read()
    except OSError as error:
        raise UserError(f"{setting}: {uri!r} cannot be read ({first_line(error)}); fix that, or give another") from None
