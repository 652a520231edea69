"""Ctrl-C and its kin: a command that is told to end does so within seconds, whatever it is doing.

The signals raise KeyboardInterrupt in the main thread. That alone is not enough: Python runs a handler only between two
of its own instructions, libraries (Ray among them) put handlers of their own in its place, and some swallow the
exception. So a thread is told of each signal by the interpreter's C code, and ends the process where the exception does
not arrive in time.
"""

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["INTERRUPTED", "Interrupts"]

INTERRUPTED = 130
"""The exit code."""

# Ctrl-C; a job's end on Slurm, Ray and Kubernetes; a terminal that was closed.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# For the exception to arrive; Ray kills a job three seconds after it was told to stop.
_ARRIVAL_SECONDS = 2.5
# For what follows then.
_GRACE_SECONDS = 3.0
# Wrappers pass on what the terminal has sent already: that is no second Ctrl-C.
_ECHO_SECONDS = 0.5
_SHOW_CURSOR = "\x1b[?25h"


class _Interrupted(KeyboardInterrupt):
    """Python notes KeyboardInterrupt itself where it passes through `exec`, and dies of SIGINT at its end whatever the
    exit code."""


class Interrupts:
    """For as long as its block runs, signals that are to end the process raise KeyboardInterrupt there.

    A second one ends the process at once. Those that are ignored (`nohup`, a script's background) stay so. Outside of
    the main thread, which alone has handlers, it does nothing.
    """

    def __init__(self, message: Callable[[], str], abandon: Callable[[], None]) -> None:
        """Args:
        message: makes what `tell` prints, once.
        abandon: called in another thread before the process is ended without the exception.
        """
        self._message, self._abandon = message, abandon
        self._told = threading.Lock()
        self._received_at: float | None = None
        self._told_at: float | None = None
        self._has_raised = self._is_swallowed = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._reader, self._writer = socket.socketpair()
            self._writer.setblocking(False)
            for number in _SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._handlers[number] = signal.signal(number, self._raise)
            self._unraisable_hook, sys.unraisablehook = sys.unraisablehook, self._raise_again
            self._wakeup_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
            self._thread = threading.Thread(target=self._watch, daemon=True, name="interrupts")
            self._thread.start()
        return self

    def __exit__(self, *_: tuple[type[BaseException] | None, BaseException | None, TracebackType | None]) -> None:
        if self._handlers:
            signal.set_wakeup_fd(self._wakeup_fd)
            sys.unraisablehook = self._unraisable_hook
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._writer.close()  # which ends the thread
            self._thread.join()
            self._reader.close()

    @property
    def received(self) -> bool:
        """Whether there was a signal: whatever the command fails with from then on comes of that."""
        if self._received_at is None and self._handlers and select.select([self._reader], [], [], 0)[0]:
            self._note(self._reader.recv(64, socket.MSG_PEEK))
        return self._received_at is not None

    def tell(self) -> None:
        """Print the message; a terminal that is gone is no obstacle."""
        if self._told.acquire(blocking=False):
            self._told_at = time.monotonic()
            with suppress(OSError, ValueError):
                print(self._message(), file=sys.stderr, flush=True)

    def _raise(self, _number: int, _frame: FrameType | None) -> None:
        if not self._has_raised:  # a second one would come in the midst of what the first makes end
            self._has_raised = True
            raise _Interrupted

    def _raise_again(self, unraisable: Any) -> None:
        """What to do with an exception in a destructor or in a fork's callback, where it goes no further."""
        if self.received and isinstance(unraisable.exc_value, (KeyboardInterrupt, SystemExit)):
            self._is_swallowed = True
            self._writer.send(b"\0")  # wakes the thread: here it would go no further again
        else:
            self._unraisable_hook(unraisable)

    def _note(self, numbers: bytes) -> bool:
        """Take in signals; whether they are further ones."""
        if not set(numbers) & set(_SIGNALS):
            return False
        if self._received_at is None:
            self._received_at = time.monotonic()
            return False
        return time.monotonic() - self._received_at > _ECHO_SECONDS

    def _seconds_left(self) -> float | None:
        if self._received_at is None:
            return None
        end = self._received_at + _ARRIVAL_SECONDS if self._told_at is None else self._told_at + _GRACE_SECONDS
        return max(0.0, end - time.monotonic())

    def _watch(self) -> None:
        while True:
            if not select.select([self._reader], [], [], self._seconds_left())[0]:
                if self._seconds_left():
                    continue  # the message has been told meanwhile
                break
            # Taken in before it is taken out, so that `received` never misses one.
            numbers = self._reader.recv(64, socket.MSG_PEEK)
            if not numbers:
                return
            is_second = self._note(numbers)
            self._reader.recv(len(numbers))
            if is_second:
                break
            if self._is_swallowed:
                time.sleep(_ECHO_SECONDS / 10)  # the callback ends
                self._has_raised, self._is_swallowed, self._received_at = False, False, time.monotonic()
                # A real one, for which system calls return.
                signal.pthread_kill(threading.main_thread().ident or 0, next(iter(self._handlers)))
        self.tell()
        with suppress(OSError, ValueError):
            if sys.stderr.isatty():
                print(end=_SHOW_CURSOR, file=sys.stderr, flush=True)
        with suppress(Exception):
            self._abandon()
        os._exit(INTERRUPTED)
