"""Names of files: those that a training leaves in its stage, and those made of names that come from data.

Everybody who makes a file's name of a class's name asks `file_names`: a name is data, and may hold anything.
"""

import hashlib
import re
import unicodedata
from collections.abc import Collection

__all__ = [
    "BEST_FILE",
    "HISTORY_FILE",
    "IMAGES_PER_PART",
    "LONGEST",
    "MODEL_FILE",
    "class_parts",
    "file_names",
    "numbered_part",
]

MODEL_FILE = "model.safetensors"
"""The network of the last epoch."""
BEST_FILE = "best.safetensors"
"""The network of the epoch that scored best on the test images."""
HISTORY_FILE = "metrics.jsonl"
"""A line of metrics for each epoch."""

IMAGES_PER_PART = 1024
"""Of tables whose parts are not classes."""

LONGEST = 240
"""Bytes of a name that `file_names` makes: file systems take 255, with what is put before and behind it."""

# What Windows, or a shell or an object store, has another meaning for; and what cannot be seen.
_UNSAFE = frozenset('/\\:*?"<>|%')
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])(?=\.|$)", re.IGNORECASE)  # files of no folder on Windows
# No encoded character begins so: a name that ends in this and a hash is nobody else's.
_HASH_MARK = "%-"


def numbered_part(number: int) -> str:
    """Name of a part of `IMAGES_PER_PART` images, counted from 0."""
    return f"part-{number:05d}"


def class_parts(class_names: Collection[str]) -> dict[str, str]:
    """Name of each class's part."""
    return {name: f"part-{file}" for name, file in file_names(class_names).items()}


def file_names(names: Collection[str]) -> dict[str, str]:
    """A file's name for each of these names, safe on Linux, macOS, Windows and object stores, and no two alike.

    Names of letters of any language, digits, blanks, `_`, `-` and `.` stay as they are. Other characters become `%` and
    two hex digits for each byte of UTF-8, and so do a dot in front, and dots and blanks at the end. A hash takes the
    place of what is too long, and is added where a name differs from one before it, in sorted order, only in case or in
    Unicode's form, which many file systems take for the same.
    """
    made: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(set(names)):
        encoded = _encode(name)
        if len(encoded.encode()) > LONGEST or _folded(encoded) in taken:
            encoded = _hashed(encoded, name)
        taken.add(_folded(encoded))
        made[name] = encoded
    return made


def _encode(name: str) -> str:
    device = _DEVICE.match(name)
    end = len(name.rstrip(". "))
    return "".join(
        _percent(char)
        if char in _UNSAFE
        or unicodedata.category(char) in _INVISIBLE
        or (i == 0 and (char == "." or device))
        or i >= end
        else char
        for i, char in enumerate(name)
    )


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def _folded(name: str) -> str:
    """What file systems that ignore case and Unicode's form tell apart."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _hashed(encoded: str, name: str) -> str:
    mark = _HASH_MARK + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    # Cut between characters, and not in the middle of an encoded one.
    kept = encoded.encode()[: LONGEST - len(mark)].decode(errors="ignore")
    return re.sub(r"%[0-9A-F]?$", "", kept) + mark
