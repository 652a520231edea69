"""`ray.init` as this project calls it: tried again where Ray is late, and without the handlers that it leaves."""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from psol_ray.distributed.auth_token import wants_token
from psol_ray.distributed.ray_messages import shorten_messages
from psol_ray.errors import first_line
from psol_ray.log import say

__all__ = ["NO_RAY_HERE", "init", "keep_handlers"]

NO_RAY_HERE = "Could not find any running Ray instance"
"""How Ray says that there is none for the address `auto`."""
# Ray gives a node 30 s to start, and its agents 15 s of those, which a busy machine may need for importing alone; it
# has no setting for either.
_ATTEMPTS = 3
_SECONDS_BETWEEN_ATTEMPTS = 5.0


def init(**arguments: Any) -> None:
    """Call `ray.init` with these arguments.

    Raises:
        Exception: whatever Ray raised, at the third time where it may pass.
    """
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            with keep_handlers():
                shorten_messages()
                ray.init(logging_level=logging.ERROR, log_to_driver=False, **arguments)
            return
        except Exception as error:
            if not attempts_left or _is_lasting(error):
                raise
            say(f"Ray is not there yet ({first_line(error)}); trying again ...")
            ray.shutdown()
            time.sleep(_SECONDS_BETWEEN_ATTEMPTS)


def _is_lasting(error: Exception) -> bool:
    """Whether it would fail again: for what is wrong with arguments, files, versions, or tokens stays so."""
    if isinstance(error, (ValueError, OSError)) and not isinstance(error, ConnectionError):
        return True
    return wants_token(error) or any(reason in str(error) for reason in ("Version mismatch", NO_RAY_HERE))


@contextmanager
def keep_handlers() -> Iterator[None]:
    """Put handlers of signals back after the block: Ray, and Ray Train, install their own and leave them."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if handler is not None:  # else it was installed by other means than Python's
                    signal.signal(number, handler)
