"""Who is making a stage: a lease that its holder renews, and that a killed run does not keep.

The file `_LEASE` names the holder and counts its beats. Whether the holder lives is asked of its process, where that is
on this machine, and else of the beats. Clocks are not compared: machines differ in theirs.

`_PROGRESS` beside it says how far the holder is and, where it ended too early, of what. People look at it from outside;
nothing depends on it.
"""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from psol_ray.errors import UserError, first_line, without_secrets
from psol_ray.log import now, say
from psol_ray.tables.folder import Folder
from psol_ray.tables.holder import LEASE_FILE, Holder

__all__ = ["BEAT_SECONDS", "LEASE_FILE", "PROGRESS_FILE", "Lease", "hold"]

PROGRESS_FILE = "_PROGRESS"
BEAT_SECONDS = 10.0
"""Between two signs of life."""
_BEATS_MISSED = 4


class Lease:
    """A lease that is held."""

    def __init__(self, folder: Folder, holder: Holder, facts: Callable[[], Mapping[str, Any]] = dict) -> None:
        """`facts` says how far the holder is, fit for JSON."""
        self._folder, self._holder, self._facts = folder, holder, facts
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="lease")
        self._thread.start()

    def _beat(self) -> None:
        beat = 0
        while not self._end.wait(BEAT_SECONDS):
            beat += 1
            # A store that is away for a while is no reason to end; the work itself will say so.
            with suppress(UserError):
                if self._is_ours():
                    replace(self._holder, beat=beat).write(self._folder)
                    self._write_progress()
                elif self._is_anothers() and not self._end.is_set():
                    self._end_work()
                    return

    def _write_progress(self, **ended: Any) -> None:
        holder = self._holder
        whose = {"token": holder.token, "user": holder.user, "host": holder.host, "pid": holder.pid}
        content = {**whose, "since": holder.since, "time": now(), **self._facts(), **ended}
        self._folder.write_bytes(PROGRESS_FILE, json.dumps(content, indent=1, default=str).encode())

    def _end_work(self) -> None:
        """Two must not write at once, for hours perhaps: end this run as Ctrl-C does."""
        say(self._loss())
        is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGTERM if is_ignored else signal.SIGINT)

    def _is_ours(self) -> bool:
        holder = Holder.read(self._folder)
        return holder is not None and holder.token == self._holder.token

    def _is_anothers(self) -> bool:
        """Not where it is gone, as on a mount that is away for a while."""
        holder = Holder.read(self._folder)
        return holder is not None and holder.token != self._holder.token

    def check(self) -> None:
        """Raise a UserError where another run has taken the lease: this one was stopped for a while, say."""
        if not self._is_ours():
            raise UserError(self._loss())

    def _loss(self) -> str:
        other = Holder.read(self._folder) or "nobody"
        return (
            f"{self._folder.address}: was taken over by {other} while this run did not show signs of life; look at what"
            " that one makes, and run the same command again"
        )

    def release(self, error: BaseException | None = None) -> None:
        """Give it back, and leave word of what has ended the work too early."""
        self._end.set()
        self._thread.join()
        with suppress(UserError):
            if self._is_ours():
                self._leave_word(error)
                self._folder.discard(LEASE_FILE)

    def _leave_word(self, error: BaseException | None) -> None:
        with suppress(UserError):  # a full disk has no room for it
            if error is None:
                self._folder.discard(PROGRESS_FILE)
            else:
                self._write_progress(ended=_why(error))


def _why(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error, 500)}"
    return without_secrets(text)


@contextmanager
def hold(folder: Folder, facts: Callable[[], Mapping[str, Any]] = dict) -> Iterator[Lease]:
    """Hold the lease of a folder for the block; `facts` say how far it is, fit for JSON.

    Raises:
        UserError: a run that lives holds it.
    """
    _check_free(folder)
    holder = Holder.this_process()
    holder.write(folder)
    lease = Lease(folder, holder, facts)
    try:
        lease.check()  # of two that came at once the later one has it
        yield lease
    except BaseException as error:
        lease.release(error)
        raise
    lease.release()


def _check_free(folder: Folder) -> None:
    holder = Holder.read(folder)
    if holder is None:
        return
    if not holder.is_here():
        say(
            f"{folder.address}: was being made by {holder}; waiting up to {_BEATS_MISSED * BEAT_SECONDS:.0f} s to see"
            " whether that run still lives ..."
        )
    if holder.lives(folder, BEAT_SECONDS, _BEATS_MISSED):
        raise UserError(
            f"{folder.address}: is being made by {holder}; wait until that run has ended or stop it, or use another"
            " run_dir"
        )
