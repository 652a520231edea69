"""One file by its path or URI."""

from pathlib import Path

import pyarrow.fs as pafs
import pytest

from psol_ray.errors import UserError
from psol_ray.tables import RunDir, read_file
from psol_ray.tables.files import absolute, open_uri


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a file"
    path.write_bytes(b"content")
    return path


def test_reads_a_path(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_file("boxes.localizer", str(file)) == b"content"
    monkeypatch.chdir(file.parent)
    assert read_file("boxes.localizer", "a file") == b"content"


def test_reads_a_uri(file: Path) -> None:
    assert read_file("boxes.localizer", file.as_uri()) == b"content"


def test_a_file_that_is_not_there_is_none(file: Path) -> None:
    assert read_file("boxes.localizer", str(file.parent / "other")) is None
    assert read_file("boxes.localizer", str(file.parent)) is None


def test_names_the_setting_of_a_uri_that_cannot_be_opened() -> None:
    with pytest.raises(UserError, match=r"^boxes\.localizer: 'gopher://a/b' cannot be opened .*; give a local path"):
        read_file("boxes.localizer", "gopher://a/b")


def test_names_the_setting_of_a_file_that_cannot_be_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(pafs.LocalFileSystem):
        def get_file_info(self, _: object) -> None:
            raise PermissionError("access denied\nby whom")

    monkeypatch.setattr("psol_ray.tables.files.open_uri", lambda _, uri: (Broken(), uri))
    with pytest.raises(UserError, match=r"^boxes\.localizer: '.*a file' cannot be read \(access denied\); fix that"):
        read_file("boxes.localizer", str(file))


def test_a_store_that_only_fsspec_knows() -> None:
    run = RunDir("memory://bucket/run")
    run.write_text("config.yaml", "a: 1")
    assert run.read_text("config.yaml") == "a: 1"
    assert run.address == "memory://bucket/run"
    stage = run.stage("boxes")
    stage.write_bytes("part-a.parquet", b"1")
    assert stage.parts() == ["part-a"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("s3://bucket/x/", "s3://bucket/x"), ("s3://b/x?region=y", "s3://b/x?region=y"), ("file:///a%20b/c", "/a b/c")],
)
def test_a_uri_is_absolute_already(path: str, expected: str) -> None:
    assert absolute(path) == expected


@pytest.mark.parametrize("uri", ["gs://anonymous@bucket/runs/exp#1", "s3://key:secret@b/a#1?region=x", "file:///a#b"])
def test_an_address_with_a_number_sign_is_refused(uri: str) -> None:
    with pytest.raises(UserError, match=r"found a # in '[^@]*#.*', where an address ends; write %23 for it"):
        RunDir(uri).write_text("config.yaml", "")


def test_a_number_sign_of_a_local_address_is_not_cut_off() -> None:
    with pytest.raises(UserError, match="write %23 for it"):
        absolute("file:///a#b")
    assert absolute("file:///a%23b") == "/a#b"
    assert absolute("/a#b") == "/a#b"


def test_a_question_mark_in_a_key_is_refused_or_written_otherwise() -> None:
    with pytest.raises(UserError, match=r"cannot be opened \(Unexpected query parameter"):
        read_file("weights", "gs://anonymous@bucket/a?b.jpg")
    assert open_uri("weights", "gs://anonymous@bucket/a%3Fb%23c.jpg")[1] == "bucket/a?b#c.jpg"
