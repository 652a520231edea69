"""The one exception that stands for a mistake in the user's input."""

__all__ = ["UserError"]


class UserError(Exception):
    """Something the user can mend: one sentence with what was found, what was expected, and what to do.

    The command line prints it without a traceback and exits with status 2.
    """
