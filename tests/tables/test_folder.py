"""Files of a folder on a store that fails: tried again while that may help, a sentence where it does not."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3 import free_port, s3_server, uri

from psol_ray.errors import UserError
from psol_ray.tables import RunDir, StageDir, patience, read_file


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def failing(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The server says 503 as long as this file is there."""
    path = tmp_path_factory.mktemp("s3") / "failing"
    with s3_server(port, "bucket", path):
        yield path


@pytest.fixture
def stage(port: int, failing: Path) -> StageDir:
    assert not failing.exists()
    return RunDir(uri(port, "bucket/run")).stage("boxes")


# Of the second, all words stand elsewhere for what does not pass.
@pytest.mark.parametrize("name", ["a", "part-token_credential_not_found.parquet"])
def test_throttled_requests_are_made_again(
    stage: StageDir, failing: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    told = []

    def mend() -> None:
        while "trying again" not in "".join(told):
            told.append(capsys.readouterr().err)
            time.sleep(0.05)
        failing.unlink()

    failing.touch()
    mending = threading.Thread(target=mend)
    mending.start()
    stage.write_bytes(name, b"content")
    mending.join()
    assert stage.read_bytes(name) == b"content"
    assert f"s3://bucket/run/boxes/{name}: the store does not answer (" in "".join(told)
    assert "secret" not in "".join(told)


def test_a_store_that_stays_away_is_a_sentence(stage: StageDir, failing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PATIENCE_SECONDS", 0.1)
    failing.touch()
    try:
        with pytest.raises(
            UserError, match=r"^s3://bucket/run/boxes: a cannot be read .*same command goes on from here"
        ):
            stage.read_bytes("a")
    finally:
        failing.unlink()


def test_what_does_not_pass_is_told_at_once(port: int, failing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not failing.exists()
    with pytest.raises(UserError, match=r"^s3://no-such-bucket/x/x: a cannot be written \(.*does not exist"):
        RunDir(uri(port, "no-such-bucket/x")).stage("x").write_bytes("a", b"")
    assert capsys.readouterr().err == ""


def test_a_file_by_its_uri(port: int, stage: StageDir) -> None:
    stage.write_bytes("model", b"weights")
    assert read_file("boxes.localizer", uri(port, "bucket/run/boxes/model")) == b"weights"
    assert read_file("boxes.localizer", uri(port, "bucket/run/boxes/none")) is None


@pytest.mark.parametrize("given", ["s3://key:sec/ret@bucket/x", "s3://key:secret@bucket:99999999/x?region=y"])
def test_credentials_are_in_no_message(given: str) -> None:
    with pytest.raises(UserError) as told:
        RunDir(given).stage("x").write_bytes("a", b"")
    assert "ret@" not in str(told.value)
    assert "key" not in str(told.value)
