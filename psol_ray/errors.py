"""The exceptions that stand for a mistake in the user's input and for images that are away; names in messages."""

import re
from collections.abc import Collection
from itertools import islice
from typing import Any

__all__ = ["ImagesAway", "UserError", "abbreviate", "cannot_read", "first_line", "without_secrets"]


class UserError(Exception):
    """Something the user can fix: one sentence with what was found, what was expected, and what to do.

    The command line prints it without a traceback and exits with status 2.
    """


class ImagesAway(Exception):
    """Files that cannot be opened or read here: a fault of the place (a mount, a store), and not of the images.

    Whoever has it may try elsewhere, or later. A file that was read and is no image is not among them: that one is
    `unreadable` wherever it is tried.
    """

    def __init__(self, paths: Collection[object], reason: str) -> None:
        """Args:
        paths: the files or addresses, as they were given; or ids of images.
        reason: of the first, as the operating system words it.
        """
        super().__init__(tuple(paths), reason)  # both, because it travels by pickle
        self.paths: tuple[Any, ...] = tuple(paths)
        self.reason = reason

    def __str__(self) -> str:
        return f"{len(self.paths)} images cannot be opened ({abbreviate(self.paths)}: {self.reason})"


def abbreviate(names: Collection[object], shown: int = 3) -> str:
    """`cat, dog` or, where there are more than `shown`, `cat, dog, eel and 97 more`."""
    head = ", ".join(map(str, islice(names, shown)))
    return f"{head} and {len(names) - shown} more" if len(names) > shown else head


def cannot_read(error: OSError, expected: str) -> UserError:
    """What to say of a file or a folder that cannot be opened or read."""
    path, reason = error.filename or "a file", error.strerror or error
    return UserError(f"{path} cannot be read ({reason}), expected {expected}; make it readable or replace it")


def first_line(error: BaseException, length: int = 200) -> str:
    """The first line of an error's text, cut short: some libraries write pages."""
    return str(error).partition("\n")[0][:length]


# Azure's user is a container or an account, which a later command needs.
_AZURE = r"(?P<azure>abfss?://[^/:@\s'\"]+)(?::[^@\s'\"]*)?(?=@)"
# A secret's slash should be written as %2F, and is not always.
_USER = r"(?<=://)[^/:@\s'\"]*(?::[^@\s'\"]*)?@"
_PARAMETER = r"(?<=[?&])[\w.-]*(?:key|secret|token|password|sig)[\w.-]*=[^&\s'\"]*&?"
_SECRETS = re.compile(f"{_AZURE}|{_USER}|{_PARAMETER}", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """A text in which the credentials of URIs are left out: `s3://KEY:SECRET@bucket` becomes `s3://bucket`."""
    return _SECRETS.sub(lambda found: found["azure"] or "", text)
