"""Lists a folder. No file is opened, and none but links is asked for its `stat`; of a store it is one request."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path

from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.errors import UserError
from psol_ray.images.picture_formats import picture_suffixes
from psol_ray.storage.tree import DataPath, StorePath

__all__ = ["Folder", "Names", "cannot_list", "list_names", "scan_folder"]

# What file managers, servers, archives and repairs leave in people's folders: nobody's class, nor a part of one. Names
# with a dot before them (.DS_Store, .AppleDouble, .Trash-1000, ._1.jpg) are hidden, and left out as such.
_LITTER = frozenset(
    {
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@tmp",
        "__macosx",
        "__pycache__",
        "cvs",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "lost+found",
        "network trash folder",
        "recycler",
        "system volume information",
        "temporary items",
        "thumbs.db",
    }
)


_ARCHIVES = frozenset({".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"})


@dataclass(frozen=True)
class Folder:
    """Names of the images and of the folders directly in a folder, each sorted, and what else is there."""

    images: list[str]
    folders: list[str]  # links to folders included
    links: frozenset[str]  # those of them that are links
    passed_over: PassedOver


@dataclass(frozen=True)
class Names:
    """All names directly in a folder but those that are hidden or litter, each sorted."""

    folders: list[str]
    files: list[str]

    @property
    def images(self) -> list[str]:
        """Files with an image's suffix."""
        return [name for name in self.files if os.path.splitext(name)[1].lower() in picture_suffixes()]

    def folder(self, *lower: str) -> str | None:
        """The first folder of one of these names, in whatever case."""
        return next((name for name in self.folders if name.lower() in lower), None)


class _Kind(Enum):
    FILE = auto()
    FOLDER = auto()
    BROKEN_LINK = auto()
    OTHER = auto()  # pipes, sockets and devices, which are never opened: that might wait for ever


def scan_folder(path: str | DataPath) -> Folder:
    """List one folder.

    A broken link with an image's suffix is an image: one that is away.

    Raises:
        UserError: the folder cannot be listed, for want of permission, say.
    """
    found = _Found([], {}, Counter())
    try:
        if isinstance(path, StorePath):
            for name, entry in path.entries().items():
                found.sort_in(name, _Kind.FOLDER if entry.is_folder else _Kind.FILE)
        else:
            with os.scandir(path) as entries:
                for item in entries:
                    found.sort_in(item.name, partial(_kind, item), item)
    except OSError as error:
        raise cannot_list(path, error) from None
    links = frozenset(name for name, is_link in found.folders.items() if is_link)
    return Folder(sorted(found.images), sorted(found.folders), links, found.passed_over)


def list_names(path: DataPath) -> Names:
    """The names in a folder; none where there is no such folder.

    Raises:
        UserError: as `scan_folder`.
    """
    try:
        if isinstance(path, StorePath):
            kinds = {name: entry.is_folder for name, entry in path.entries().items()}
        else:
            with os.scandir(path) as entries:
                kinds = {entry.name: entry.is_dir() for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return Names([], [])
    except OSError as error:
        raise cannot_list(path, error) from None
    shown = sorted(name for name in kinds if not name.startswith(".") and name.lower() not in _LITTER)
    return Names([name for name in shown if kinds[name]], [name for name in shown if not kinds[name]])


def cannot_list(path: str | DataPath, error: OSError) -> UserError:
    """What to say of a folder that cannot be listed."""
    return UserError(f"{path} cannot be listed ({error.strerror}), expected a folder; fix it")


@dataclass(frozen=True)
class _Found:
    """What of a folder was looked at so far; of folders, whether each is a link."""

    images: list[str]
    folders: dict[str, bool]
    passed_over: PassedOver

    def sort_in(self, name: str, known: _Kind | Callable[[], _Kind], link: "os.DirEntry[str] | None" = None) -> None:
        """Take in an entry of this name; what it is is asked where the name does not say that it is passed over."""
        if name.startswith("."):
            self.passed_over[Reason.HIDDEN, ""] += 1
            return
        if name.lower() in _LITTER:
            self.passed_over[Reason.LITTER, name] += 1
            return
        kind = known if isinstance(known, _Kind) else known()
        suffix = os.path.splitext(name)[1].lower()
        if kind is _Kind.FOLDER:
            is_link = link is not None and link.is_symlink()
            if link is not None and is_link and _leads_back(link.path):
                self.passed_over[Reason.LOOP, name] += 1
            else:
                self.folders[name] = is_link
        elif kind is _Kind.OTHER:
            self.passed_over[Reason.NO_FILE, name] += 1
        elif suffix in picture_suffixes():
            self.images.append(name)
        elif kind is _Kind.BROKEN_LINK:
            self.passed_over[Reason.BROKEN_LINK, name] += 1
        elif suffix in _ARCHIVES:
            self.passed_over[Reason.ARCHIVE, name] += 1
        else:
            self.passed_over[Reason.SUFFIX, suffix or "no suffix"] += 1


def _kind(entry: "os.DirEntry[str]") -> _Kind:
    # Of all but links the folder itself says what they are.
    if entry.is_file(follow_symlinks=False):
        return _Kind.FILE
    if entry.is_dir(follow_symlinks=False):
        return _Kind.FOLDER
    if not entry.is_symlink():
        return _Kind.OTHER
    try:
        entry.stat()
    except OSError:  # among them links that lead to themselves
        return _Kind.BROKEN_LINK
    return _Kind.FOLDER if entry.is_dir() else _Kind.FILE if entry.is_file() else _Kind.OTHER


def _leads_back(link: str) -> bool:
    """Whether a link leads to a folder that it lies in, by whatever way it was reached."""
    target = os.path.realpath(link)
    return any(os.path.realpath(folder) == target for folder in Path(os.path.abspath(link)).parents)
