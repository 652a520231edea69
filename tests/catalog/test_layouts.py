import errno
import os
from pathlib import Path

import pytest

from psol_ray.catalog.layouts import list_images
from psol_ray.errors import UserError

from .trees import touch


def test_an_unknown_layout_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.layout is 'kitti', expected one of imagenet, cub, folder"):
        list_images("kitti", str(tmp_path))


@pytest.mark.parametrize("layout", ["imagenet", "cub", "folder"])
@pytest.mark.parametrize(("name", "found"), [("gone", "does not exist"), ("file.jpg", "is a file")])
def test_a_root_that_is_no_folder_is_an_error(tmp_path: Path, layout: str, name: str, found: str) -> None:
    touch(tmp_path, "file.jpg")
    with pytest.raises(UserError, match=rf"{name}' {found}, expected a folder"):
        list_images(layout, str(tmp_path / name))


def test_ids_that_folders_gave_are_not_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "lexists", lambda path: pytest.fail(f"asked for {path}"))
    touch(tmp_path, "train/caf\u00e9/a.jpg")
    assert list_images("folder", str(tmp_path))["image_id"].to_pylist() == ["train/caf\u00e9/a.jpg"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("z" * 300, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
        ("a\x00b", "embedded null byte"),
    ],
)
def test_a_root_that_cannot_be_reached_says_why(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(
        UserError, match=rf"data.root .* cannot be reached \({found}\), expected a folder of images; set"
    ):
        list_images("folder", str(tmp_path / name))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "train/n1/a.JPEG", "val/n1/v.JPEG")
    (tmp_path / "bbox/val/v.xml").mkdir(parents=True)
    with pytest.raises(
        UserError,
        match=r"bbox/val/v.xml cannot be read \(no regular file\), expected what layout imagenet has there; make",
    ):
        list_images("imagenet", str(tmp_path))


def test_what_one_may_not_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "train/n1/a.jpg", "boxes.csv")

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "open", refuse)  # a file's mode means nothing to root
    with pytest.raises(UserError, match=r"boxes.csv cannot be read \(Permission denied\), expected what layout folder"):
        list_images("folder", str(tmp_path))


@pytest.mark.parametrize("layout", ["imagenet", "folder"])
def test_a_relative_root_with_a_slash_gives_the_same_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    touch(tmp_path, "data/train/cat/1.jpg")
    monkeypatch.chdir(tmp_path)
    assert list_images(layout, "data/")["image_id"].to_pylist() == ["train/cat/1.jpg"]
