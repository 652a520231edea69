"""Real signals to real processes: a command ends within seconds, with its exit code and its sentence."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from synthetic.logs import messages

SENTENCE = "psol index: interrupted; the same command goes on from here\n"
# Much more than is needed, and much less than what is interrupted would take.
LIMIT_SECONDS = 60

COMMAND = """
import signal, sys, time
from psol_ray import cli

def sleep():
    print("begun", flush=True)
    time.sleep(600)

def swallow():
    print("begun", flush=True)
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass

def install_another_handler():
    signal.signal(signal.SIGINT, lambda *_: None)
    sleep()

class InDestructor:
    def __del__(self):
        sleep_a_little()

def sleep_a_little():
    print("begun", flush=True)
    time.sleep(3)

def destroy():
    InDestructor()
    time.sleep(600)

def fail_of_it():
    try:
        sleep()
    except BaseException:
        raise ValueError("an actor has died") from None

def unwind_slowly():
    try:
        sleep()
    finally:
        print("unwinding", flush=True)
        time.sleep(600)

cli._call = lambda *_: globals()[sys.argv[1]]()
sys.exit(cli.main(["index", "--run_dir", "run", "--data.root", "images"]))
"""


def start(behaviour: str, prepare: Callable[[], None] | None = None) -> subprocess.Popen:
    """`psol index` that does `behaviour` instead, until it has begun."""

    def restore() -> None:
        # Both may be ignored: in the background of some shells, and below `nohup`.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if prepare is not None:
            prepare()

    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, behaviour],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_with_a_sentence(number: signal.Signals) -> None:
    process = start("sleep")
    process.send_signal(number)
    _, told = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, told) == (130, SENTENCE)


@pytest.mark.parametrize("behaviour", ["swallow", "install_another_handler", "destroy", "fail_of_it"])
def test_whatever_becomes_of_the_exception_the_command_ends(behaviour: str) -> None:
    process = start(behaviour)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, told) == (130, SENTENCE)


def test_a_second_ctrl_c_ends_it_at_once() -> None:
    process = start("unwind_slowly")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "unwinding\n"
    time.sleep(0.6)  # sooner it would be taken for an echo of the first
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, told) == (130, SENTENCE)


def test_what_is_to_go_on_without_its_terminal_goes_on() -> None:
    process = start("sleep", prepare=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN) and None)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, told) == (130, SENTENCE)


def test_handlers_are_put_back() -> None:
    from psol_ray.cli import main

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)], sys.unraisablehook
    assert main(["index", "--run_dir"]) == 2
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)], sys.unraisablehook
    assert after == before
    assert signal.set_wakeup_fd(-1) == -1


def processes_with(mark: str) -> list[str]:
    """Command lines of the processes whose environment has `mark`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended meanwhile
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's list of processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_ray_starts_nothing_of_it_is_left(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "images" / "train" / "cat").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(tmp_path / "images" / "train" / "cat" / "1.jpg")
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-m", "psol_ray.cli", "index", "--run_dir", "run", "--data.root", "images"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "MARK_OF_TEST": mark, "RAY_ADDRESS": "local"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    while not any("raylet" in line or "gcs_server" in line for line in processes_with(mark)):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, told = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 130
    assert messages(told) == ["Starting Ray on this machine ...", SENTENCE.rstrip()]
    deadline = time.monotonic() + LIMIT_SECONDS / 3
    while (left := processes_with(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
    assert not (tmp_path / "run" / "catalog" / "_SUCCESS").exists()
