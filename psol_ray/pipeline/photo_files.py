"""Which photos the words of a command line mean: files, folders, patterns, addresses in stores, and stdin."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psol_ray.errors import without_secrets
from psol_ray.images.files import Source
from psol_ray.images.picture_formats import picture_suffixes
from psol_ray.storage.addresses import Span, is_uri

__all__ = ["STDIN", "Photo", "find_photos"]

STDIN = "-"


@dataclass(frozen=True)
class Photo:
    """A photo: what it is called, where its bytes are, and its path below the folder that was named, if one was."""

    name: str
    source: Source
    below: str


def find_photos(named: Sequence[str], gaps: list[str]) -> list[Photo]:
    """The photos that are named, in the order of their names within each folder and pattern; each once.

    Of a folder all files that end as pictures do, however deep, but for what is hidden; of a pattern (`*`, `?`, `[]`,
    and `**` for folders of any depth) whatever fits; a file whatever its name. `-` is one image on stdin.

    Args:
        named: the words of the command line.
        gaps: takes a sentence for each that means nothing.
    """
    photos: dict[str, Photo] = {}
    for word in named:
        found = list(_meant(word))
        if not found:
            gaps.append(_nothing(word))
        photos |= {photo.name: photo for photo in found if photo.name not in photos}
    return list(photos.values())


def _meant(word: str) -> Iterator[Photo]:
    if word == STDIN:
        yield Photo("stdin", sys.stdin.buffer.read(), "stdin")
    elif is_uri(word):
        root, _, name = word.rpartition("/")
        yield Photo(without_secrets(word), Span(root, name), name.partition("?")[0])
    elif os.path.isdir(word):
        yield from _in_folder(word)
    elif os.path.lexists(word):  # before it is taken for a pattern: brackets are found in names
        yield _file(word)
    elif glob.has_magic(word):
        for path in sorted(glob.glob(word, recursive=True)):
            if not os.path.isdir(path):
                yield _file(path)


def _file(path: str) -> Photo:
    return Photo(path, os.path.abspath(path), os.path.basename(path))


def _in_folder(folder: str) -> Iterator[Photo]:
    suffixes = picture_suffixes()
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes:
                path = os.path.join(parent, name)
                yield Photo(path, os.path.abspath(path), os.path.relpath(path, folder))


def _nothing(word: str) -> str:
    if os.path.isdir(word):
        return f"{word}: found no picture in this folder, expected files such as photo.jpg; check the path"
    if glob.has_magic(word):
        return f"{word}: found no file that fits this pattern; check it"
    return f"{word}: no such file, expected a photo, a folder, a pattern in quotes, or -; check the path"
