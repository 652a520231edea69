"""Stores that only fsspec knows: their times, their errors, and what they are called."""

import errno
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from psol_ray.errors import UserError
from psol_ray.storage.addresses import Span
from psol_ray.storage.reader import read
from psol_ray.storage.tree import data_path
from psol_ray.tables import RunDir, lease, patience
from psol_ray.tables.files import open_uri
from psol_ray.tables.folder import Folder


class HttpError(Exception):
    """As each package has its own."""

    def __init__(self, code: int) -> None:
        super().__init__("of somebody's package")
        self.code = code


class Flaky(MemoryFileSystem):
    """A store with two names whose requests fail as often as it is told to."""

    protocol = ("flaky", "flakys")
    store: ClassVar[dict[str, Any]] = {}
    fails: ClassVar[list[int]] = []

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if self.fails:
            raise HttpError(self.fails.pop())
        return super()._open(path, mode, **options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("flakys://", "memory://").replace("flaky://", "memory://"))


@pytest.fixture(autouse=True)
def flaky() -> Iterator[None]:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    fsspec.register_implementation("flakys", Flaky, clobber=True)
    yield
    Flaky.fails.clear()


def test_errors_that_pass_are_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Folder(*open_uri("run_dir", "flaky://bucket/a"))
    Flaky.fails[:] = [503]
    folder.write_bytes("b", b"content")
    assert "flaky://bucket/a/b: the store does not answer (HttpError: HTTP status 503, of" in capsys.readouterr().err
    Flaky.fails[:] = [503]
    assert read(Span("flaky://bucket/a", "b", 1, 3)) == b"ont"


def test_errors_that_last_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Folder(*open_uri("run_dir", "flaky://bucket/a"))
    Flaky.fails[:] = [403]
    with pytest.raises(UserError, match=r"^flaky://bucket/a: b cannot be written \(HttpError: HTTP status 403, of"):
        folder.write_bytes("b", b"content")
    folder.write_bytes("b", b"content")
    Flaky.fails[:] = [403]
    with patience.impatiently(), pytest.raises(OSError, match="HTTP status 403"):
        read(Span("flaky://bucket/a", "b"))
    assert capsys.readouterr().err == ""


def test_a_lease_outlives_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    folder = Folder(*open_uri("run_dir", "flaky://bucket/lease"))
    with lease.hold(folder):
        Flaky.fails[:] = [403]
        while Flaky.fails:
            time.sleep(0.01)
        before = folder.read_bytes(lease.LEASE_FILE)
        deadline = time.monotonic() + 20
        while folder.read_bytes(lease.LEASE_FILE) == before:
            assert time.monotonic() < deadline, "no beat after the error"
            time.sleep(0.01)


def test_what_is_not_there_has_the_number_of_that() -> None:
    with pytest.raises(FileNotFoundError) as raised:
        read(Span("flaky://bucket/a", "gone"))
    assert raised.value.errno == errno.ENOENT


@pytest.mark.parametrize("scheme", ["flaky", "flakys"])
def test_a_store_is_called_as_its_address_is(scheme: str) -> None:
    assert RunDir(f"{scheme}://bucket/run").address == f"{scheme}://bucket/run"


def test_an_address_that_is_a_path_is_not_doubled() -> None:
    fs, path = open_uri("weights", "https://localhost/a/b")
    assert patience.address_of(fs, path) == "https://localhost/a/b"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("LastModified", datetime(2024, 1, 2, tzinfo=UTC)),
        ("last_modified", datetime(2024, 1, 2, tzinfo=UTC)),
        ("updated", "2024-01-02T00:00:00.000Z"),
        ("Last-Modified", "Tue, 02 Jan 2024 00:00:00 GMT"),
        ("mtime", datetime(2024, 1, 2, tzinfo=UTC).timestamp()),
    ],
)
def test_the_time_of_a_file_by_any_of_its_names(monkeypatch: pytest.MonkeyPatch, name: str, told: object) -> None:
    (folder := Folder(*open_uri("run_dir", "flaky://bucket/times"))).write_bytes("a.jpg", b"1")
    found = {f"{folder.path}/a.jpg": {"name": "a.jpg", "size": 1, "type": "file", name: told}}
    monkeypatch.setattr(Flaky, "find", lambda *_, **__: found)
    (entry,) = data_path("flaky://bucket/times").entries().values()  # type: ignore[union-attr]
    assert entry.modified == datetime(2024, 1, 2, tzinfo=UTC).timestamp() * 1e9
