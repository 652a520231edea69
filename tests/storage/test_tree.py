"""Folders of a store, as readers of data sets see them."""

from pathlib import Path

import pytest
from s3 import Store

from psol_ray.errors import UserError
from psol_ray.storage.tree import StorePath, data_path, name_of, open_stream, parents_of, relative_name


@pytest.fixture
def root(store: Store) -> StorePath:
    store.put("tree/data/train/cat/1.jpg", b"1")
    store.put("tree/data/train/cat/2.jpg", b"22")
    store.put("tree/data/boxes.csv", "é\r\n".encode())
    found = data_path(store.uri("tree/data"))
    assert isinstance(found, StorePath)
    return found


def test_files_and_folders_are_told_apart(root: StorePath) -> None:
    assert (root / "train").is_dir()
    assert not (root / "train").is_file()
    assert (root / "boxes.csv").is_file()
    assert not (root / "val").exists()
    entries = (root / "train/cat").entries()
    assert {name: (entry.is_folder, entry.size) for name, entry in entries.items()} == {
        "1.jpg": (False, 1),
        "2.jpg": (False, 2),
    }
    assert all(entry.modified > 0 for entry in entries.values())


def test_a_folder_is_listed_once(root: StorePath, store: Store) -> None:
    before = len(store.asked())
    (root / "train/cat").entries()
    one = len(store.asked()) - before
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        (root / "train/cat" / name).is_file()
    assert len(store.asked()) - before == one


def test_content_as_pathlib_gives_it(root: StorePath) -> None:
    path = root / "boxes.csv"
    assert path.read_bytes() == "é\r\n".encode()
    assert path.read_text() == "é\r\n"
    with path.open(newline="") as file:
        assert file.read() == "é\r\n"
    with path.open("rb") as file:
        assert file.readline() == "é\r\n".encode()
    with open_stream(path) as stream:
        assert stream.read() == "é\r\n".encode()
    with pytest.raises(FileNotFoundError):
        (root / "gone.csv").read_bytes()


def test_names(root: StorePath) -> None:
    assert str(root) == "s3://bucket/tree/data"
    assert name_of(root / "train") == "train"
    assert [str(path) for path in parents_of(root)] == ["s3://bucket/tree", "s3://bucket"]
    assert relative_name(root / "train/cat", root) == "train/cat"
    assert relative_name(root / "x.csv", root / "train") == "../x.csv"


def test_names_on_a_disk(tmp_path: Path) -> None:
    assert data_path(str(tmp_path)) == tmp_path
    assert parents_of(tmp_path)[0] == tmp_path.parent
    assert relative_name(tmp_path / "a/b", tmp_path) == "a/b"


def test_a_store_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UserError, match=r"'foo://bucket/x' cannot be opened .* give a local path, or a URI"):
        data_path("foo://bucket/x")
