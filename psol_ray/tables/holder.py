"""The process that makes a stage, as the file `_LEASE` names it, and whether it lives, where its machine can tell."""

import getpass
import json
import os
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from psol_ray.tables.folder import Folder

__all__ = ["LEASE_FILE", "Holder"]

LEASE_FILE = "_LEASE"


@dataclass(frozen=True)
class Holder:
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
    def this_process(cls) -> "Holder":
        host, pid = socket.gethostname(), os.getpid()
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
        return cls(uuid.uuid4().hex, _user(), host, _place(host), pid, _started(pid), since)

    @classmethod
    def read(cls, folder: Folder) -> "Holder | None":
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

    def lives(self, folder: Folder, beat_seconds: float, beats_missed: int) -> bool:
        """Whether it makes what is in the folder: asked of its process where that is here, else of its beats, for which
        this may wait."""
        if self.is_here():
            return self.lives_here()
        deadline = time.monotonic() + beats_missed * beat_seconds
        while time.monotonic() < deadline:
            time.sleep(beat_seconds / 5)
            now = Holder.read(folder)
            if now is None:
                return False
            if now != self:
                return True
        return False

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
