"""Reads what an address stands for. Errors have a number, so that they say nothing of the image."""

import errno
import io
import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property, partial
from itertools import accumulate, groupby
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from psol_ray.errors import UserError, first_line
from psol_ray.storage.addresses import Address, Cell, Span
from psol_ray.storage.image_column import ImageColumn, find_image_column
from psol_ray.storage.row_groups import RowGroups
from psol_ray.tables.files import open_uri
from psol_ray.tables.patience import FS_ERRORS, address_of, patiently

__all__ = [
    "NUM_CONNECTIONS",
    "buffered",
    "numbered",
    "open_span",
    "probe",
    "read",
    "read_stream",
    "read_together",
    "store_of",
]

NUM_CONNECTIONS = 32
"""Requests to a store at a time: at 50 ms a request, 640 images a second of which each is a file."""
# Of shards, of which each costs a request to open.
_MOST_OPEN = 64


def read(address: Span | Cell) -> bytes:
    """The bytes of one image.

    Raises:
        OSError: they cannot be read, or the shard ends before them.
    """
    (outcome,) = read_together([address])
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


def read_together(addresses: Sequence[Span | Cell]) -> list[bytes | OSError]:
    """The bytes of images of one file, by one request where they lie side by side; or why there are none."""
    first = addresses[0]
    try:
        with numbered(first):
            fs, path = _locate(first)
            cells = [address for address in addresses if isinstance(address, Cell)]
            spans = [address for address in addresses if isinstance(address, Span)]
            if cells:
                return patiently(fs, path, lambda: _read_cells(fs, path, [cell.row for cell in cells]))
            if spans[0].length < 0:
                return [patiently(fs, path, lambda: read_stream(fs, path)) for _ in spans]
            return patiently(fs, path, lambda: _read_spans(fs, path, spans))
    except OSError as error:
        return [error for _ in addresses]


def probe(address: Span | Cell) -> None:
    """Find out whether an image is there, without reading it all where that can be avoided.

    Raises:
        OSError: it is not, or cannot be read.
    """
    if isinstance(address, Span) and address.length != 0:
        with open_span(address) as file:
            file.read(1)
    else:
        read(address)


@contextmanager
def open_span(address: Span) -> Iterator[io.BufferedReader]:
    """A file or a part of one, for whoever reads its beginning only. For errors see `images.files.open_image_file`."""
    with numbered(address):
        fs, path = _locate(address)
    with buffered(fs, path, 1 << 16, address) as file:
        yield file


@contextmanager
def buffered(fs: pafs.FileSystem, path: str, size: int, address: Span | None = None) -> Iterator[io.BufferedReader]:
    """A file, or the part of it that `address` says, read `size` bytes at a time.

    Raises:
        OSError: it cannot be opened; or reading it failed, whatever the block made of that.
    """
    raw = _RawFile(fs, path, address or Span("", address_of(fs, path)))
    try:
        yield io.BufferedReader(raw, size)
    finally:
        if raw.failure is not None:
            raise raw.failure


class _RawFile(io.RawIOBase):
    """Remembers that reading failed: who parses an image takes any error for the image's."""

    failure: OSError | None = None

    def __init__(self, fs: pafs.FileSystem, path: str, address: Span) -> None:
        super().__init__()
        self._fs, self._path, self._address, self._at = fs, path, address, 0
        with numbered(address):
            self._file = patiently(self._fs, self._path, lambda: _OPEN.get(self._fs, self._path).file)
            self._size = address.length if address.length >= 0 else self._file.size()

    def _read_at(self, count: int, start: int) -> bytes:
        return self._file.read_at(count, start) if start < self._file.size() else b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if at < 0:
            raise OSError(errno.EINVAL, "seeking before the beginning", str(self._address))
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(min(len(buffer), self._size - self._at), 0)
        if not count:
            return 0
        start = self._address.offset + self._at
        try:
            with numbered(self._address):
                data = patiently(self._fs, self._path, lambda: self._read_at(count, start))
            if len(data) < count:
                raise _cut_short(self._address)
        except OSError as error:
            self.failure = error
            raise
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Opened:
    """A handle, of which reading at a place is safe among threads, and the footer of Parquet, which costs requests."""

    def __init__(self, file: Any, path: str) -> None:
        self.file, self._path = file, path

    @cached_property
    def _metadata(self) -> Any:
        return pq.read_metadata(self.file)

    @cached_property
    def _column(self) -> ImageColumn:
        return find_image_column(self._path, self._metadata.schema.to_arrow_schema())

    @cached_property
    def starts(self) -> list[int]:
        """The first row of each row group, and the number of rows."""
        counts = (self._metadata.row_group(i).num_rows for i in range(self._metadata.num_row_groups))
        return list(accumulate(counts, initial=0))

    def size_of(self, group: int) -> int:
        """What decoding the images of a row group takes, in bytes: they are there twice meanwhile."""
        row_group = self._metadata.row_group(group)
        columns = (row_group.column(i) for i in range(row_group.num_columns))
        found = [column for column in columns if column.path_in_schema == self._column.path]
        return sum(column.total_compressed_size + column.total_uncompressed_size for column in found)

    def decode(self, group: int) -> pa.ChunkedArray:
        """The images of a row group."""
        table = pq.ParquetFile(self.file, metadata=self._metadata, pre_buffer=True)
        return self._column.bytes_of(table.read_row_group(group, columns=[self._column.path]).column(0))


class _OpenFiles:
    """Those that were used last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[tuple[int, str], _Opened] = OrderedDict()

    def get(self, fs: pafs.FileSystem, path: str) -> _Opened:
        key = (id(fs), path)  # `store_of` keeps every file system
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
                return self._files[key]
        opened = _Opened(fs.open_input_file(path), path)
        with self._lock:
            opened = self._files.setdefault(key, opened)  # others may have been faster, and decode by theirs
            if len(self._files) > _MOST_OPEN:
                self._files.popitem(last=False)  # closed once nobody reads from it
        return opened

    @contextmanager
    def using(self, fs: pafs.FileSystem, path: str) -> Iterator[_Opened]:
        """The handle, which is not kept if the block fails: the file may be another by now."""
        try:
            yield self.get(fs, path)
        except Exception:
            with self._lock:
                self._files.pop((id(fs), path), None)
            raise


_OPEN = _OpenFiles()
_ROW_GROUPS = RowGroups()


def store_of(root: str) -> tuple[pafs.FileSystem, str]:
    """The file system of `data.root`, and the path in it; the same one each time, whose connections are kept.

    Raises:
        UserError: there is none.
    """
    with _FINDING:
        return _find_store(root)


_FINDING = threading.Lock()  # else threads that come first at once have a store each, and share nothing


@cache
def _find_store(root: str) -> tuple[pafs.FileSystem, str]:
    # As many connections as there are threads that fetch ahead; S3's client would open 25.
    pa.set_io_thread_count(max(pa.io_thread_count(), NUM_CONNECTIONS))
    return open_uri("data.root", root)


def _locate(address: Span | Cell) -> tuple[pafs.FileSystem, str]:
    fs, root = store_of(address.root)
    return fs, f"{root}/{address.file}"


def read_stream(fs: pafs.FileSystem, path: str) -> bytes:
    """All of a file."""
    with fs.open_input_stream(path) as stream:
        return stream.read()


def _read_spans(fs: pafs.FileSystem, path: str, spans: Sequence[Span]) -> list[bytes | OSError]:
    start = min(span.offset for span in spans)
    end = max(span.offset + span.length for span in spans)
    with _OPEN.using(fs, path) as opened:
        data = memoryview(opened.file.read_at(end - start, start) if start < opened.file.size() else b"")
    pieces = [bytes(data[span.offset - start : span.offset - start + span.length]) for span in spans]
    return [piece if len(piece) == span.length else _cut_short(span) for piece, span in zip(pieces, spans, strict=True)]


def _cut_short(span: Span) -> OSError:
    return OSError(errno.EIO, "the shard ends before it; copy the shard anew", str(span))


def _read_cells(fs: pafs.FileSystem, path: str, rows: Sequence[int]) -> list[bytes | OSError]:
    with _OPEN.using(fs, path) as opened:
        starts = opened.starts
        found: dict[int, bytes | OSError] = {}
        for group, members in groupby(sorted(set(rows)), key=lambda row: _group_of(row, starts)):
            if group is None:
                found |= dict.fromkeys(members, OSError(errno.EIO, f"the file has only {starts[-1]:,} rows", path))
                continue
            decode = partial(opened.decode, group)
            with _ROW_GROUPS.using((opened, group), opened.size_of(group), decode) as images:
                found |= {row: images[row - starts[group]].as_py() or b"" for row in members}
    return [found[row] for row in rows]


def _group_of(row: int, starts: Sequence[int]) -> int | None:
    """Which row group a row is in, given where each starts and the last ends; None beyond."""
    return None if row >= starts[-1] else bisect_right(starts, row) - 1


@contextmanager
def numbered(address: Address) -> Iterator[None]:
    """Errors of a store as those of an operating system; a number tells them from Pillow's, which are the image's."""
    try:
        yield
    except FileNotFoundError:  # fsspec's has no number
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(address)) from None
    except FS_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(address)) from None
        raise OSError(errno.EIO, first_line(error), str(address)) from None
    except UserError as error:
        raise OSError(errno.EIO, str(error), str(address)) from None
