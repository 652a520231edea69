"""Who is making a stage: a lease that its holder renews, and that a killed run does not keep.

The file `_LEASE` names the holder and counts its beats. Whether the holder lives is asked of its process, where that is
on this machine, and else of the beats. Clocks are not compared: machines differ in theirs.
"""

import getpass
import json
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from psol_ray.errors import UserError
from psol_ray.tables.folder import Folder

__all__ = ["LEASE_FILE", "Lease", "hold"]

LEASE_FILE = "_LEASE"
_BEAT_SECONDS = 10.0
_BEATS_MISSED = 4


@dataclass(frozen=True)
class _Holder:
    """A process that makes a stage. `place` is its machine and process namespace, where `pid` means something."""

    token: str
    user: str
    host: str
    place: str
    pid: int
    started: str
    since: str
    beat: int = 0

    @classmethod
    def this_process(cls) -> "_Holder":
        host, pid = socket.gethostname(), os.getpid()
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
        return cls(uuid.uuid4().hex, _user(), host, _place(host), pid, _started(pid), since)

    @classmethod
    def read(cls, folder: Folder) -> "_Holder | None":
        """The holder that a folder names; None where it names none."""
        with suppress(ValueError, TypeError):  # a file that was cut short
            return cls(**json.loads(folder.read_text(LEASE_FILE) or "null"))
        return None

    def write(self, folder: Folder) -> None:
        folder.write_bytes(LEASE_FILE, json.dumps(asdict(self), indent=1).encode())

    def is_here(self) -> bool:
        """Whether its process is one of this machine's, so that one can look."""
        return self.place == _place(socket.gethostname())

    def lives_here(self) -> bool:
        """Whether a process of this machine is still the one that took the lease: numbers are given out again."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _started(self.pid) == self.started

    def __str__(self) -> str:
        return f"{self.user} on {self.host} (process {self.pid}) since {self.since}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as containers have
        return f"user {os.getuid()}"


def _place(host: str) -> str:
    with suppress(OSError):
        return (
            f"{host} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
        )
    return host


def _started(pid: int) -> str:
    """When a process was started, in ticks since its machine was; empty where it has ended, or the system is silent."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    return ""


class Lease:
    """A lease that is held."""

    def __init__(self, folder: Folder, holder: _Holder) -> None:
        self._folder, self._holder = folder, holder
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="lease")
        self._thread.start()

    def _beat(self) -> None:
        beat = 0
        while not self._end.wait(_BEAT_SECONDS):
            beat += 1
            # A store that is away for a while is no reason to end; the work itself will say so.
            with suppress(UserError):
                if self._is_ours():
                    replace(self._holder, beat=beat).write(self._folder)
                elif self._is_anothers() and not self._end.is_set():
                    self._end_work()
                    return

    def _end_work(self) -> None:
        """Two must not write at once, for hours perhaps: end this run as Ctrl-C does."""
        print(self._loss(), file=sys.stderr, flush=True)
        is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGTERM if is_ignored else signal.SIGINT)

    def _is_ours(self) -> bool:
        holder = _Holder.read(self._folder)
        return holder is not None and holder.token == self._holder.token

    def _is_anothers(self) -> bool:
        """Not where it is gone, as on a mount that is away for a while."""
        holder = _Holder.read(self._folder)
        return holder is not None and holder.token != self._holder.token

    def check(self) -> None:
        """Raise a UserError where another run has taken the lease: this one was stopped for a while, say."""
        if not self._is_ours():
            raise UserError(self._loss())

    def _loss(self) -> str:
        other = _Holder.read(self._folder) or "nobody"
        return (
            f"{self._folder.address}: was taken over by {other} while this run did not show signs of life; look at what"
            " that one makes, and run the same command again"
        )

    def release(self) -> None:
        """Give it back."""
        self._end.set()
        self._thread.join()
        with suppress(UserError):
            if self._is_ours():
                self._folder.discard(LEASE_FILE)


@contextmanager
def hold(folder: Folder) -> Iterator[Lease]:
    """Hold the lease of a folder for the block.

    Raises:
        UserError: a run that lives holds it.
    """
    _check_free(folder)
    holder = _Holder.this_process()
    holder.write(folder)
    lease = Lease(folder, holder)
    try:
        lease.check()  # of two that came at once the later one has it
        yield lease
    finally:
        lease.release()


def _check_free(folder: Folder) -> None:
    holder = _Holder.read(folder)
    if holder is None or not (holder.lives_here() if holder.is_here() else _beats(folder, holder)):
        return
    raise UserError(
        f"{folder.address}: is being made by {holder}; wait until that run has ended or stop it, or use another run_dir"
    )


def _beats(folder: Folder, holder: _Holder) -> bool:
    """Whether a holder on another machine renews its lease; waits to see it."""
    print(
        f"{folder.address}: was being made by {holder}; waiting up to {_BEATS_MISSED * _BEAT_SECONDS:.0f} s to see"
        " whether that run still lives ...",
        file=sys.stderr,
        flush=True,
    )
    deadline = time.monotonic() + _BEATS_MISSED * _BEAT_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_BEAT_SECONDS / 5)
        now = _Holder.read(folder)
        if now is None:
            return False
        if now != holder:
            return True
    return False
