"""Who makes a stage: told to the second, taken over from the dead."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from psol_ray.errors import UserError
from psol_ray.tables import holder, lease
from psol_ray.tables.folder import Folder
from psol_ray.tables.holder import LEASE_FILE, Holder
from psol_ray.tables.lease import PROGRESS_FILE, hold

_HOLD = """
import sys, time
import pyarrow.fs as pafs
from psol_ray.tables.folder import Folder
from psol_ray.tables.lease import hold

with hold(Folder(pafs.LocalFileSystem(), sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(pafs.LocalFileSystem(), str(tmp_path / "boxes"))


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.1)


@pytest.fixture
def other(folder: Folder) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease."""
    with subprocess.Popen([sys.executable, "-c", _HOLD, folder.path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_second_run_is_told_who_holds_it_since_when(folder: Folder, other: subprocess.Popen[str]) -> None:
    with pytest.raises(UserError, match=rf"is being made by \S+ on \S+ \(process {other.pid}\) since 20\d\d-.*run_dir"):
        hold(folder).__enter__()


def test_a_run_that_is_stopped_lives(folder: Folder, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGSTOP)
    with pytest.raises(UserError, match="is being made by"):
        hold(folder).__enter__()


@pytest.mark.parametrize("reaped", [True, False])
def test_a_killed_run_keeps_nothing(folder: Folder, other: subprocess.Popen[str], reaped: bool) -> None:
    other.kill()
    if reaped:
        other.wait()
    else:  # dead, and its parent has not asked yet
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    with hold(folder):
        assert json.loads(folder.read_text(LEASE_FILE) or "")["pid"] == os.getpid()


def test_another_process_of_the_same_number_is_another(folder: Folder) -> None:
    replace(Holder.this_process(), started="1").write(folder)
    with hold(folder):
        pass


def test_given_back_at_the_end_and_after_an_error(folder: Folder) -> None:
    with hold(folder):
        assert folder.read_text(LEASE_FILE)
    with pytest.raises(KeyboardInterrupt), hold(folder):
        raise KeyboardInterrupt
    assert [info.base_name for info in folder.entries()] == [PROGRESS_FILE]
    with hold(folder):
        pass
    assert folder.entries() == []


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (UserError("s3://me:secret@bucket: mend that"), "s3://bucket: mend that"),
        (ZeroDivisionError("x"), "ZeroDivisionError: x"),
    ],
)
@pytest.mark.usefixtures("_quick")
def test_whoever_looks_finds_how_far_it_is_and_of_what_it_ended(folder: Folder, error: BaseException, why: str) -> None:
    seen: list[str] = []

    def work() -> None:
        while (told := folder.read_text(PROGRESS_FILE)) is None:
            time.sleep(0.01)
        seen.append(told)
        raise error

    with pytest.raises(type(error)), hold(folder, lambda: {"images": 7}):
        work()
    running, ended = (json.loads(told) for told in (*seen, folder.read_text(PROGRESS_FILE) or ""))
    assert (running["images"], running["pid"], "ended" in running) == (7, os.getpid(), False)
    assert (ended["images"], ended["ended"]) == (7, why)


def test_given_back_where_there_is_no_room_for_word_of_why(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UserError("No space left on device")

    def work() -> None:
        monkeypatch.setattr(Folder, "write_bytes", refuse)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), hold(folder):
        work()
    assert folder.read_text(LEASE_FILE) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"token": "a"}'])
def test_a_lease_that_cannot_be_read_is_nobodys(folder: Folder, content: bytes) -> None:
    folder.write_bytes(LEASE_FILE, content)
    with hold(folder):
        pass


@pytest.mark.usefixtures("_quick")
class TestOtherMachines:
    def test_one_without_beats_is_dead(self, folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
        replace(Holder.this_process(), place="elsewhere", host="far", user="ann").write(folder)
        with hold(folder):
            pass
        assert "was being made by ann on far" in capsys.readouterr().err

    def test_one_with_beats_lives(self, folder: Folder) -> None:
        with pytest.MonkeyPatch.context() as elsewhere:
            elsewhere.setattr(holder, "_place", lambda _: "elsewhere")
            held = hold(folder)
            held.__enter__()
        try:
            with pytest.raises(UserError, match="is being made by"):
                hold(folder).__enter__()
        finally:
            held.__exit__(None, None, None)

    def test_one_that_ends_meanwhile_is_followed(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        replace(Holder.this_process(), place="elsewhere").write(folder)
        monkeypatch.setattr("psol_ray.tables.holder.time.sleep", lambda _: folder.discard(LEASE_FILE))
        with hold(folder):
            pass


_LOSE = """
import sys, time
import pyarrow.fs as pafs
from psol_ray.tables import lease
from psol_ray.tables.folder import Folder
from psol_ray.tables.holder import Holder

lease.BEAT_SECONDS = 0.1
folder = Folder(pafs.LocalFileSystem(), sys.argv[1])
try:
    with lease.hold(folder):
        Holder("other", "ann", "far", "elsewhere", 1, "1", "yesterday").write(folder)
        time.sleep(60)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_run_that_lost_its_lease_ends_before_long(folder: Folder) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOSE, folder.path],
        capture_output=True,
        text=True,
        timeout=50,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    assert done.returncode == 130
    assert f"{folder.path}: was taken over by ann on far (process 1) since yesterday while this run" in done.stderr
    assert json.loads(folder.read_text(LEASE_FILE) or "")["user"] == "ann"


@pytest.mark.usefixtures("_quick")
def test_a_lease_that_is_gone_ends_nothing_before_the_end(folder: Folder) -> None:
    with hold(folder) as held:
        folder.discard(LEASE_FILE)
        time.sleep(0.5)  # several beats, of which each would interrupt this process
        with pytest.raises(UserError, match="was taken over by nobody"):
            held.check()


def test_a_run_that_lost_its_lease_is_told_so(folder: Folder) -> None:
    with hold(folder) as held:
        replace(Holder.this_process(), user="ann", host="far").write(folder)
        with pytest.raises(UserError, match="was taken over by ann on far"):
            held.check()
    assert json.loads(folder.read_text(LEASE_FILE) or "")["user"] == "ann"
