"""What is wrong with the place of results is told before work, on disks and on a store that wants permissions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from s3 import free_port, guarded, s3_server, uri

from psol_ray.cli import main
from psol_ray.errors import UserError
from psol_ray.tables import RunDir


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def reader(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Credentials of somebody who may read and list, and not write."""
    failing = tmp_path_factory.mktemp("s3") / "failing"
    with s3_server(port, "bucket", failing), guarded(port, failing, "s3:GetObject", "s3:ListBucket") as credentials:
        yield credentials


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    RunDir(str(tmp_path / "runs" / "mine")).check_writable()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    RunDir(str(tmp_path / "runs" / "mine")).check_writable()
    assert list(tmp_path.rglob("*")) == [tmp_path / "runs", tmp_path / "runs" / "mine"]


def test_a_folder_that_takes_nothing() -> None:
    with pytest.raises(UserError, match=r"^/proc/run: \.trial-\S+ cannot be written \("):
        RunDir("/proc/run").check_writable()


def test_a_bucket_without_write_permission(port: int, reader: str) -> None:
    with pytest.raises(UserError, match=r"s3://bucket/run: .* cannot be written \(.*ACCESS_DENIED.*; give credentials"):
        RunDir(uri(port, "bucket/run", reader)).check_writable()


@pytest.mark.usefixtures("reader")
def test_credentials_that_nobody_knows(port: int) -> None:
    with pytest.raises(UserError, match=r"INVALID_ACCESS_KEY_ID.*; give credentials that the store knows: AWS_ACCESS"):
        RunDir(uri(port, "bucket/run", "nobody:secret")).check_writable()


@pytest.mark.usefixtures("reader")
def test_no_credentials_at_all(port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"ACCESS_DENIED.*; give credentials that may read, write, list and delete"):
        RunDir(uri(port, "bucket/run", "").replace("//@", "//")).check_writable()


@pytest.mark.parametrize("command", ["run", "index", "transfer"])
def test_a_command_says_it_at_once(
    port: int, reader: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the data are listed, which are not even there, and in one line: nothing is tried again."""
    flags = ["--run_dir", uri(port, "bucket/run", reader), "--data.root", str(tmp_path / "nowhere")]
    flags += ["--cluster.address", "in-process", "--predict.localizer", "x/model.safetensors"]
    assert main([command, *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"psol {command}: s3://bucket/run: ")
    assert "; give credentials that may read, write, list and delete there" in line


def test_a_bucket_that_is_not_there(tmp_path: Path) -> None:
    other = free_port()
    with (
        s3_server(other, "bucket", tmp_path / "failing"),
        pytest.raises(
            UserError,
            match=r"^s3://no-such/run: .* cannot be written \(.*NO_SUCH_BUCKET.*; create that bucket, or correct",
        ),
    ):
        RunDir(uri(other, "no-such/run")).check_writable()


def test_an_endpoint_where_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"NETWORK_CONNECTION.*; see whether the store runs and its endpoint"):
        RunDir(uri(free_port(), "bucket/run")).check_writable()
    assert capsys.readouterr().err == ""
