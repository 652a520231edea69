"""Which photos the words of a command line mean."""

import io
import sys
from pathlib import Path

import pytest
from synthetic.images import touch

from psol_ray.pipeline.photo_files import find_photos
from psol_ray.storage.addresses import Span


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    touch(tmp_path, "b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "deep/down/c.webp", ".trash/d.jpg", "odd[1].jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "names"),
    [
        (["b.jpg"], ["b.jpg"]),
        (["notes.txt"], ["notes.txt"]),  # who names a file means it
        (["b.jpg", "b.jpg", "a.PNG"], ["b.jpg", "a.PNG"]),
        (["."], ["./a.PNG", "./b.jpg", "./odd[1].jpg", "./deep/down/c.webp"]),
        (["deep"], ["deep/down/c.webp"]),
        (["*.jpg"], ["b.jpg", "odd[1].jpg"]),
        (["odd[1].jpg"], ["odd[1].jpg"]),
        (["**/*.webp"], ["deep/down/c.webp"]),
        (["[ab].*"], ["a.PNG", "b.jpg"]),
    ],
)
@pytest.mark.usefixtures("folder")
def test_files_folders_and_patterns(named: list[str], names: list[str]) -> None:
    gaps: list[str] = []
    photos = find_photos(named, gaps)
    assert [photo.name for photo in photos] == names
    assert [photo.source for photo in photos] == [str(Path(name).resolve()) for name in names]
    assert not gaps


def test_a_photo_in_a_folder_that_is_named_knows_where_it_lies_there(folder: Path) -> None:
    assert [photo.below for photo in find_photos([str(folder / "deep"), "b.jpg"], [])] == ["down/c.webp", "b.jpg"]


def test_addresses_of_stores_are_opened_there_and_shown_without_credentials() -> None:
    (photo,) = find_photos(["s3://key:secret@bucket/a/b.jpg?region=x"], [])
    assert (photo.name, photo.below) == ("s3://bucket/a/b.jpg?region=x", "b.jpg")
    assert photo.source == Span("s3://key:secret@bucket/a", "b.jpg?region=x")


def test_stdin_is_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"an image")))
    (photo,) = find_photos(["-"], [])
    assert (photo.name, photo.source, photo.below) == ("stdin", b"an image", "stdin")


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("none.jpg", "none.jpg: no such file, expected a photo, a folder, a pattern in quotes, or -; check the path"),
        ("*.gif", "*.gif: found no file that fits this pattern; check it"),
        ("empty", "empty: found no picture in this folder, expected files such as photo.jpg; check the path"),
    ],
)
def test_what_means_nothing_is_a_sentence_and_the_rest_is_found(folder: Path, word: str, sentence: str) -> None:
    (folder / "empty").mkdir()
    gaps: list[str] = []
    assert [photo.name for photo in find_photos([word, "b.jpg"], gaps)] == ["b.jpg"]
    assert gaps == [sentence]
