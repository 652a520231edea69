"""Ray on this machine: where its files are."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from synthetic.logs import messages

from psol_ray.distributed import local_ray as module
from psol_ray.errors import UserError

_START = """
import ray
from psol_ray.distributed.connection import connect, disconnect
from psol_ray.distributed.settings import ClusterConfig

connect(ClusterConfig())
print(ray.get(ray.put("it runs")))
disconnect()
"""


@pytest.fixture(autouse=True)
def _no_choice_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


def long_folder(parent: Path) -> Path:
    """One that a batch system would make."""
    folder = parent / ("job_1355700_user_name_and_project" * 2)
    folder.mkdir()
    return folder


def test_they_are_where_ray_would_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module._find_folder() == "/tmp/ray"
    monkeypatch.setenv("TMPDIR", "/dev/shm")
    assert module._find_folder() == "/dev/shm/ray"
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    assert module._find_folder() == "/tmp/ray"


@pytest.mark.parametrize("kind", ["long", "missing", "a file"])
def test_a_temporary_folder_that_will_not_do_is_passed_over(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    folder = {"long": long_folder(tmp_path), "missing": Path("/nowhere"), "a file": tmp_path / "file"}[kind]
    monkeypatch.setenv("TMPDIR", str(folder))
    assert module._find_folder() == "/tmp/ray"
    (line,) = messages(capsys.readouterr().err)
    assert line.startswith(f"Ray's files are in /tmp/ray, because {folder}/ray will not do: ")
    assert not Path("/nowhere").exists()


def test_a_folder_that_was_chosen_for_it_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(long_folder(tmp_path)))
    with pytest.raises(
        UserError, match=r"^RAY_TMPDIR: found '.*', .*: its path is \d+ characters too long for sockets"
    ):
        module._find_folder()


def test_the_longest_path_that_is_taken_takes_rays_sockets() -> None:
    above = Path("/tmp") / ("x" * 34)
    above.mkdir()
    try:
        assert module._find_fault(f"{above}/ray") is None
        assert len(f"{above}/ray/{module._SOCKET}") == 107
        assert module._find_fault(f"{above}/rays") == "its path is 1 characters too long for sockets"
    finally:
        (above / "ray").rmdir()
        above.rmdir()


def test_no_folder_at_all_is_told_with_the_reason_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FREE_BYTES", 2**70)
    with pytest.raises(UserError) as raised:
        module._find_folder()
    told = str(raised.value)
    assert told.startswith("Ray has no folder for its files (/tmp/ray: ")
    assert f"; /tmp/ray-{os.getuid()}: " in told
    assert "set RAY_TMPDIR" in told


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_children_are_ended_though_one_of_them_has_just_vanished(monkeypatch: pytest.MonkeyPatch) -> None:
    vanished, list_children = 2**22 + 1, module._children  # more than Linux's highest number of a process
    script = "sleep 60 & sleep 60 & echo; wait"
    with subprocess.Popen(["sh", "-c", script, "/ray/parent"], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        sleepers = list_children(parent.pid)
        assert len(sleepers) == 2
        listed = {os.getpid(): [vanished, parent.pid], parent.pid: [vanished, *sleepers]}
        monkeypatch.setattr(module, "_children", lambda pid: listed.get(pid, []))
        read_bytes = Path.read_bytes
        # `sleep` has nothing of Ray's in its command.
        monkeypatch.setattr(Path, "read_bytes", lambda path: read_bytes(path).replace(b"sleep", b"ray::sleep"))
        module.kill()
        assert parent.wait(10) == -signal.SIGKILL
        assert parent.stdout.read() == b""  # which the sleepers hold open while they live


def test_a_real_start_with_a_long_temporary_folder_and_taken_ports_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    others = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    environment = {name: value for name, value in os.environ.items() if name not in others}
    environment |= {"TMPDIR": str(long_folder(tmp_path)), "HOME": str(home)}
    with ExitStack() as taken:
        for port in (6379, 8265):  # Ray's, and its dashboard's
            with suppress(OSError):  # somebody else has taken it
                taken.enter_context(socket.create_server(("", port)))
        command = [sys.executable, "-c", _START]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.stdout == "it runs\n", done.stderr
    assert not list(home.iterdir())  # which might not be writable


_TOKENLESS = """
import ray

ray.init("local", num_cpus=1, include_dashboard=False)
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""


@pytest.mark.slow
def test_a_cluster_without_a_token_is_joined_by_who_had_a_ray_of_its_own_with_one(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_A")} | {
        "HOME": str(tmp_path)
    }
    with subprocess.Popen(
        [sys.executable, "-c", _TOKENLESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean | {"RAY_AUTH_MODE": "disabled"},
    ) as head:
        assert head.stdout is not None
        address = head.stdout.readline().strip()
        joined = _START.replace("ClusterConfig()", f"ClusterConfig(address={address!r})")
        command = [sys.executable, "-c", f"{_START}\n{joined}"]
        done = subprocess.run(command, capture_output=True, text=True, env=clean, timeout=300)
        head.communicate("\n")
    assert done.stdout == "it runs\nit runs\n", done.stderr


@pytest.mark.slow
def test_a_process_that_has_a_ray_of_its_own_before_and_after_gets_into_all_three() -> None:
    theirs = "ray.init('local', num_cpus=1, include_dashboard=False); print(ray.get(ray.put('theirs'))); ray.shutdown()"
    command = [sys.executable, "-c", f"import ray; {theirs}\n{_START}\n{theirs}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.stdout == "theirs\nit runs\ntheirs\n", done.stderr
