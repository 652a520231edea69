"""Stores that pyarrow does not know, and an fsspec package does."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

__all__ = ["open_by_fsspec", "version_of"]

# What packages call the time of the last change; the first is fsspec's own name.
_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "created")
_VERSIONS = ("ETag", "etag", "Content-MD5", "Digest", "md5Hash", "sha256")


def open_by_fsspec(uri: str) -> tuple[pafs.FileSystem, str]:
    """The store of a URI and the path in it.

    Raises:
        ArrowInvalid: no package knows it, or the package is not there.
    """
    try:
        import fsspec

        fs, path = fsspec.core.url_to_fs(uri)
    except Exception as error:  # of a package that is not there, or of its own
        raise pa.ArrowInvalid(f"neither pyarrow nor fsspec knows this store: {error}") from None
    return pafs.PyFileSystem(_Handler(fs, uri.partition("://")[0])), path


def version_of(fs: pafs.FileSystem, info: pafs.FileInfo) -> str | None:
    """What changes with a file's content: its time, or what the store calls its version; None if it tells neither."""
    if info.mtime_ns is not None:
        return str(info.mtime_ns)
    if not isinstance(fs, pafs.PyFileSystem):
        return None
    told = fs.handler.fs.info(info.path)
    return next((str(told[name]) for name in _VERSIONS if told.get(name)), None)


class _Handler(pafs.FSSpecHandler):
    """pyarrow's, which is called as the URI is, and knows the other names of a file's time."""

    def __init__(self, fs: Any, scheme: str) -> None:
        super().__init__(fs)
        self._scheme = scheme

    def get_type_name(self) -> str:
        return f"fsspec+{self._scheme}"

    @staticmethod
    def _create_file_info(path: str, info: dict[str, Any]) -> pafs.FileInfo:
        told = next((info[name] for name in _TIMES if info.get(name)), None)
        return pafs.FSSpecHandler._create_file_info(path, {**info, "mtime": _time(told)})


def _time(told: Any) -> datetime | float | None:
    if not isinstance(told, str):
        return told if isinstance(told, datetime | int | float) else None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(told)
        except ValueError:
            continue
    return None
