"""A folder appears whole or not at all."""

from pathlib import Path

import pytest

from psol_ray.errors import UserError
from psol_ray.exchange.folder import whole_folder


def test_appears_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with whole_folder(target) as unfinished:
        (unfinished / "a.txt").write_text("a")
        assert not target.exists()
        assert unfinished.parent == target.parent  # a rename within one file system
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_takes_the_place_of_an_empty_folder(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with whole_folder(str(target)) as unfinished:
        (unfinished / "a.txt").write_text("a")
    assert (target / "a.txt").read_text() == "a"


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    def fill_the_disk() -> None:
        with whole_folder(tmp_path / "out") as unfinished:
            (unfinished / "a.txt").write_text("a")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fill_the_disk()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "full"])
def test_refuses_what_is_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    refusal = pytest.raises(UserError, match="found something there, expected a new or empty folder")
    with refusal, whole_folder(tmp_path / name):
        pytest.fail("entered")
    assert sorted(tmp_path.rglob("*")) == before


def test_refuses_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refusal = pytest.raises(UserError, match="s3://bucket/out: exports go to a local folder")
    with refusal, whole_folder("s3://bucket/out"):
        pytest.fail("entered")
    assert list(tmp_path.iterdir()) == []
