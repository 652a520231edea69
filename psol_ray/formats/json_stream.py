"""Reads what is in a large JSON file item by item: whole, COCO's annotations of ImageNet would take gigabytes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from psol_ray.errors import UserError

__all__ = ["first_character", "stream_json"]

_CHUNK = 1 << 22  # characters
_decode = json.JSONDecoder().raw_decode


def first_character(path: Path) -> str:
    """What a JSON file begins with: `[` for a list, `{` for a mapping; "" for an empty file.

    Raises:
        UserError: the file is not text.
    """
    with path.open(encoding="utf-8-sig") as file:
        try:
            return _Reader(file).peek()
        except ValueError as error:
            raise _broken(path, error) from None


def stream_json(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the items of a list, each with the key ""; or of a mapping, what is in its members.

    A member that is a list gives its key with each of its items, one that is a mapping its key with each pair of name
    and value, and any other its key with its value. An empty member gives nothing.

    Raises:
        UserError: the file is no JSON.
    """
    with path.open(encoding="utf-8-sig") as file:
        try:
            yield from _Reader(file).items()
        except (ValueError, RecursionError) as error:
            raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: found {error}, expected JSON; copy the file again")


class _Reader:
    """Has a piece of the file, and decodes values in it; where one is cut off, reads on."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._text, self._at, self._chunk = file, "", 0, _CHUNK

    def items(self) -> Iterator[tuple[str, Any]]:
        """See `stream_json`."""
        if self.peek() == "[":
            yield from (("", item) for item in self._list())
        else:
            for name in self._names():
                kind = self.peek()
                if kind == "[":
                    yield from ((name, item) for item in self._list())
                elif kind == "{":
                    yield from ((name, (inner, self._value())) for inner in self._names())
                else:
                    yield name, self._value()
        if self.peek():
            raise ValueError("text after the end")

    def peek(self) -> str:
        """The next character that is no blank; "" at the end."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def _list(self) -> Iterator[Any]:
        self._expect("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._expect(",]") == "]":
                return

    def _names(self) -> Iterator[str]:
        """The names of a mapping; whoever asks for the next has read this one's value."""
        self._expect("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            name = self._value()
            if not isinstance(name, str):
                raise ValueError("a name that is no text")
            self._expect(":")
            yield name
            if self._expect(",}") == "}":
                return

    def _value(self) -> Any:
        self.peek()
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except ValueError:
                # Cut off, or wrong: which, only the rest can tell.
                self._chunk *= 2
                if not self._more():
                    raise
                continue
            # Of a number there may be more, after an `e-` that is cut off, too.
            if len(self._text) - end <= len("e-") and isinstance(value, int | float) and self._more():
                continue
            self._at, self._chunk = end, _CHUNK
            return value

    def _expect(self, characters: str) -> str:
        found = self.peek()
        if not found or found not in characters:
            raise ValueError(f"{found or 'the end'!r} instead of {' or '.join(characters)}")
        self._at += 1
        return found

    def _more(self) -> bool:
        if not (read := self._file.read(self._chunk)):
            return False
        self._text, self._at = self._text[self._at :] + read, 0
        return True
