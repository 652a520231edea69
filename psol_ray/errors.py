"""The one exception that stands for a mistake in the user's input, and how a message names many things."""

from collections.abc import Collection
from itertools import islice

__all__ = ["UserError", "abbreviate", "first_line"]


class UserError(Exception):
    """Something the user can fix: one sentence with what was found, what was expected, and what to do.

    The command line prints it without a traceback and exits with status 2.
    """


def abbreviate(names: Collection[str], shown: int = 3) -> str:
    """`cat, dog` or, where there are more than `shown`, `cat, dog, eel and 97 more`."""
    head = ", ".join(islice(names, shown))
    return f"{head} and {len(names) - shown} more" if len(names) > shown else head


def first_line(error: BaseException, length: int = 200) -> str:
    """The first line of an error's text, cut short: some libraries write pages."""
    return str(error).partition("\n")[0][:length]
