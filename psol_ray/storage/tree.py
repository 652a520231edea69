"""Folders of an object store as far as readers of data sets need them: what `pathlib` gives them on a disk."""

import errno
import io
import os
import posixpath
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow.fs as pafs

from psol_ray.errors import without_secrets
from psol_ray.storage.addresses import is_uri
from psol_ray.storage.reader import buffered, numbered, read_stream, store_of
from psol_ray.tables.listing import list_folder
from psol_ray.tables.patience import address_of, patiently

__all__ = [
    "DataPath",
    "Entry",
    "StorePath",
    "data_path",
    "identity",
    "name_of",
    "open_stream",
    "parents_of",
    "relative_name",
]


_BYTES_AT_ONCE = 1 << 23


@dataclass(frozen=True)
class Entry:
    """What a folder of a store holds: its size in bytes, and when it was written, in nanoseconds since 1970."""

    is_folder: bool
    size: int
    modified: int


@dataclass(frozen=True, eq=False)
class _Store:
    """A file system, and the folders of it that were listed: a request each, of which none is made twice."""

    fs: pafs.FileSystem
    listed: dict[str, dict[str, Entry]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def list(self, path: str) -> dict[str, Entry]:
        if path not in self.listed:
            found = {
                folder: {info.base_name: _entry(info) for info in infos}
                for folder, infos in list_folder(self.fs, path).items()
            }
            with self.lock:
                self.listed.update(found)
        return self.listed[path]

    def find(self, path: str) -> Entry | None:
        folder, _, name = path.rpartition("/")
        if folder in self.listed:
            return self.listed[folder].get(name)
        info = patiently(self.fs, path, lambda: self.fs.get_file_info(path))
        return None if info.type == pafs.FileType.NotFound else _entry(info)


def _entry(info: pafs.FileInfo) -> Entry:
    return Entry(info.type == pafs.FileType.Directory, info.size or 0, info.mtime_ns or -1)


@dataclass(frozen=True)
class StorePath:
    """A path in an object store. Errors are OSErrors with a number and the path."""

    store: _Store
    path: str

    def __truediv__(self, name: str) -> "StorePath":
        return StorePath(self.store, f"{self.path}/{name}" if name else self.path)

    def __str__(self) -> str:
        return address_of(self.store.fs, self.path)

    @property
    def name(self) -> str:
        """Its last part."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> "StorePath":
        """The folder that it is in."""
        return StorePath(self.store, self.path.rpartition("/")[0])

    def entries(self) -> dict[str, Entry]:
        """What the folder holds, by name; nothing where it is not there and the store does not say so."""
        with numbered(str(self)):
            return self.store.list(self.path)

    def find(self) -> Entry | None:
        """What is there, if anything."""
        with numbered(str(self)):
            return self.store.find(self.path)

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        return self.find() is not None

    def is_file(self) -> bool:
        """Whether there is a file."""
        return (found := self.find()) is not None and not found.is_folder

    def is_dir(self) -> bool:
        """Whether there is a folder: something below it, as most stores have no others."""
        return (found := self.find()) is not None and found.is_folder

    def read_bytes(self) -> bytes:
        """Content of a file."""
        with numbered(str(self)):
            return patiently(self.store.fs, self.path, lambda: read_stream(self.store.fs, self.path))

    def read_text(self, encoding: str = "utf-8") -> str:
        """Content of a text file."""
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "r", encoding: str = "utf-8", newline: str | None = None) -> IO[Any]:
        """A file to be read, which is held in memory."""
        if mode not in ("r", "rb"):
            raise OSError(errno.EROFS, "data are not written to", str(self))
        data = io.BytesIO(self.read_bytes())
        return data if mode == "rb" else io.TextIOWrapper(data, encoding=encoding, newline=newline)


@contextmanager
def open_stream(path: "DataPath") -> Iterator[IO[bytes]]:
    """A file that is read from its beginning to its end, more or less; of a store in few large requests.

    Raises:
        OSError: it cannot be opened, or reading it failed.
    """
    if isinstance(path, Path):
        with path.open("rb") as file:
            yield file
    else:
        with buffered(path.store.fs, path.path, _BYTES_AT_ONCE) as file:
            yield file


DataPath = Path | StorePath
"""A file or folder of a data set."""


def data_path(root: str) -> DataPath:
    """The folder of a data set: a local path, or a URI.

    Raises:
        UserError: there is no such store.
    """
    if not is_uri(root):
        return Path(root)
    fs, path = store_of(root)
    return StorePath(_Store(fs), path)


def parents_of(path: DataPath) -> Sequence[DataPath]:
    """The folders above, the nearest first; in a store down from the bucket's."""
    if isinstance(path, Path):
        return Path(os.path.abspath(path)).parents
    parts = path.path.split("/")[:-1]
    return [StorePath(path.store, "/".join(parts[:count])) for count in range(len(parts), 0, -1)]


def name_of(folder: DataPath) -> str:
    """Its name, however it is spelt: `.` has one, too."""
    return os.path.basename(os.path.abspath(folder)) if isinstance(folder, Path) else folder.name


def relative_name(path: DataPath, root: DataPath) -> str:
    """A file's path from a folder that it is below, or beside."""
    if isinstance(path, Path) and isinstance(root, Path):
        return os.path.relpath(path, root)
    return posixpath.relpath(str(path), str(root))


def identity(root: str) -> str:
    """What a URI is the address of, however it is spelt."""
    fs, path = store_of(root)
    return without_secrets(address_of(fs, path))
