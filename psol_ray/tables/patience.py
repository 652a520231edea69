"""Errors of a file system as sentences, and those that pass tried again.

A network's store answers 503 when it is asked too often, and not at all while it restarts. A run of a day should not
end of that; a full disk or a wrong key, on the other hand, is for the user, at once.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TypeVar

import pyarrow as pa
import pyarrow.fs as pafs
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from psol_ray.errors import UserError, first_line, without_secrets
from psol_ray.log import say

__all__ = ["FS_ERRORS", "address_of", "impatiently", "is_object_store", "patiently", "remedy_for", "sentence"]

T = TypeVar("T")

FS_ERRORS = (OSError, pa.ArrowException)
"""What pyarrow's file systems raise."""

_SCHEMES = {"s3": "s3://", "gcs": "gs://", "abfs": "abfs://"}
_FSSPEC = "py::fsspec+"
# Where errors of fsspec's packages have HTTP's number.
_STATUS = ("status", "code", "status_code")

_PATIENCE_SECONDS = 120.0
_QUOTED = re.compile(r"'[^']*'")
# Arrow gives errors of a store no class of their own; what would come again is told by the words.
_LASTING = re.compile(
    r"ACCESS_DENIED|NO_SUCH|NOT_FOUND|INVALID_|SIGNATURE|UNRECOGNIZED_CLIENT|MISSING_|TOKEN|VALIDATION|REDIRECT"
    r"|SKEWED"
    # As Arrow words Azure's: the error's name, and what its library says, which begins with the status.
    r"|Azure Error: \[[^]]*\] 40[0-7]"
    r"|HTTP status 40[0-7]|does not exist|credential|past end|deserialize thrift|magic bytes",
    re.IGNORECASE,
)

_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile named by AWS_PROFILE, or the role of the machine, on every"
    " machine"
)
# What helps, by what S3 calls the error; the first that fits.
_REMEDIES = (
    (r"NO_SUCH_BUCKET", "create that bucket, or correct its name"),
    (r"INVALID_ACCESS_KEY|TOKEN|SIGNATURE|UNRECOGNIZED", f"give credentials that the store knows: {_CREDENTIALS}"),
    (
        r"ACCESS_DENIED|UNKNOWN \(HTTP status 403\)",
        f"give credentials that may read, write, list and delete there ({_CREDENTIALS}), or use another bucket",
    ),
    (r"SKEWED", "set the clock of that machine"),
    (
        r"NETWORK_CONNECTION",
        "see whether the store runs and its endpoint (AWS_ENDPOINT_URL, endpoint_override) is right, and run the same"
        " command again",
    ),
)
_impatient: ContextVar[bool] = ContextVar("impatient", default=False)


@contextmanager
def impatiently() -> Iterator[None]:
    """In the block nothing is tried again: nothing is lost yet, and the user is there."""
    token = _impatient.set(True)
    try:
        yield
    finally:
        _impatient.reset(token)


def remedy_for(error: BaseException | str) -> str | None:
    """What helps against an error of a store, as far as it tells."""
    _, _, code = str(error).partition("AWS Error ")
    return next((remedy for words, remedy in _REMEDIES if re.match(rf"\S*(?:{words})", code)), None)


def address_of(fs: pafs.FileSystem, path: str) -> str:
    """A path as one would type it: with the scheme of its store."""
    if fs.type_name.startswith(_FSSPEC):
        if "://" in path:  # as those of HTTP are
            return path
        return f"{fs.type_name.removeprefix(_FSSPEC)}://{path.lstrip('/')}"
    return f"{_SCHEMES.get(fs.type_name, '')}{path}"


def is_object_store(fs: pafs.FileSystem) -> bool:
    """Whether an object appears once its stream is closed. Elsewhere a file is renamed into place."""
    return fs.type_name in _SCHEMES or fs.type_name.startswith(_FSSPEC)


def patiently(fs: pafs.FileSystem, path: str, act: Callable[[], T]) -> T:
    """Do something with a path, and again for two minutes while the error is one that passes; says so meanwhile.

    Raises:
        OSError, pa.ArrowException: it failed, whatever a package of fsspec's calls that.
    """
    if fs.type_name.startswith(_FSSPEC):
        act = partial(_with_known_errors, act)
    if not is_object_store(fs) or _impatient.get():
        return act()
    retrying = Retrying(
        retry=retry_if_exception(_passes),
        wait=wait_exponential_jitter(initial=1, max=15),
        stop=stop_after_delay(_PATIENCE_SECONDS),
        before_sleep=lambda state: _tell(address_of(fs, path), state),
        reraise=True,
    )
    return retrying(act)


def _with_known_errors(act: Callable[[], T]) -> T:
    try:
        return act()
    except (*FS_ERRORS, UserError):
        raise
    except Exception as error:  # each package has classes of its own
        status = next((code for name in _STATUS if isinstance(code := getattr(error, name, None), int)), None)
        said = f"{type(error).__name__}: " + ("" if status is None else f"HTTP status {status}, ")
        raise OSError(f"{said}{first_line(error)}") from error


def _passes(error: BaseException) -> bool:
    if not isinstance(error, OSError) or isinstance(error, (FileNotFoundError, PermissionError, FileExistsError)):
        return False
    # Without the names in it, which may be any words.
    return not _LASTING.search(_QUOTED.sub("", str(error)))


def _tell(address: str, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    left = _PATIENCE_SECONDS - (state.seconds_since_start or 0)
    reason = "" if error is None else f" ({without_secrets(first_line(error))})"
    say(f"{address}: the store does not answer{reason}; trying again for {left:.0f} s")


@contextmanager
def sentence(what: str, remedy: str) -> Iterator[None]:
    """Make any error of a file system in the block a UserError: `WHAT (REASON); REMEDY`, or what helps better."""
    try:
        yield
    except FS_ERRORS as error:
        better = remedy_for(error) or remedy
        raise UserError(f"{what} ({without_secrets(first_line(error))}); {better}") from None
