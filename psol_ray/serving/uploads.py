"""What a client sends, read within limits of bytes and seconds: a photo as the body, or several in a form."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from psol_ray.errors import abbreviate
from psol_ray.serving.refusal import Refusal

__all__ = ["FIELD", "MOST_FILES", "Room", "Upload", "read_uploads"]

FIELD = "image"
"""The form's field that holds a photo; it may be there several times."""
MOST_FILES = 32
_LONGEST_NAME = 100
_SECONDS_TO_WAIT = 1


class Upload(NamedTuple):
    """A file, and what the client calls it; empty for a body."""

    name: str
    data: bytes


@dataclass
class Room:
    """How much may wait at once, so that no crowd of clients fills the memory."""

    most_requests: int = 1000
    most_bytes: int = 2**30
    requests: int = 0
    bytes: int = 0

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Room for one upload of so many bytes, for the block.

        Raises:
            Refusal: there is none now.
        """
        if self.requests >= self.most_requests or self.bytes + size > self.most_bytes:
            raise Refusal(503, f"{self.requests} requests wait already; try again in {_SECONDS_TO_WAIT} s")
        self.requests += 1
        self.bytes += size
        try:
            yield
        finally:
            self.requests -= 1
            self.bytes -= size


class _InMemory(MultiPartParser):
    """Starlette's own writes what has more than a megabyte to a disk."""

    spool_max_size = 2**40


async def read_uploads(request: Request, most_bytes: int, seconds: float) -> list[Upload]:
    """The files of a request, one or more.

    Raises:
        Refusal: they are too large, or too slow, or there are none.
    """
    if size_of(request, 0) > most_bytes:
        raise _too_large(f"an upload of {_mb(size_of(request, 0))}", most_bytes)
    try:
        async with asyncio.timeout(seconds):
            if request.headers.get("content-type", "").lower().startswith("multipart/"):
                return await _read_form(request, most_bytes)
            return [Upload("", b"".join([chunk async for chunk in _limited(request, most_bytes)]))]
    except TimeoutError:
        raise Refusal(408, f"found an upload that takes more than {seconds:g} s; send a smaller one") from None
    except ClientDisconnect:
        raise Refusal(400, "found an upload that ended before its end") from None  # nobody reads this


def size_of(request: Request, unknown: int) -> int:
    """Bytes that the client says it sends; `unknown` where it does not."""
    said = request.headers.get("content-length", "")
    return int(said) if said.isascii() and said.isdigit() else unknown


async def _limited(request: Request, most_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body, piece by piece: what it says of its size need not be true."""
    left = most_bytes
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            raise _too_large("a larger upload", most_bytes)
        yield chunk


async def _read_form(request: Request, most_bytes: int) -> list[Upload]:
    if "boundary=" not in request.headers["content-type"]:
        raise Refusal(400, f"found a form without a boundary, expected files in the field {FIELD!r}")
    parser = _InMemory(request.headers, _limited(request, most_bytes), max_files=MOST_FILES, max_fields=100)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:
        reason = " ".join(str(getattr(error, "message", error)).split())[:200]
        raise Refusal(
            400, f"found a form that cannot be read ({reason}), expected at most {MOST_FILES} files"
        ) from None
    try:
        others = [name[:_LONGEST_NAME] for name, value in form.multi_items() if name != FIELD]
        files = [value for value in form.getlist(FIELD) if isinstance(value, UploadFile)]
        if others or not files:
            found = f"the field {abbreviate(list(map(repr, others)))}" if others else "no file"
            raise Refusal(400, f"found {found} in the form, expected one file or several in the field {FIELD!r}")
        return [Upload(_last_part(file.filename or ""), await file.read()) for file in files]
    finally:
        await form.close()


def _last_part(name: str) -> str:
    """A file's name without folders and what nobody can see; it is told back, and opens nothing."""
    return "".join(c for c in re.split(r"[/\\]", name)[-1] if c.isprintable())[:_LONGEST_NAME]


def _too_large(found: str, most_bytes: int) -> Refusal:
    return Refusal(413, f"found {found}, expected {_mb(most_bytes)} at most; send less at once, or smaller photos")


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
