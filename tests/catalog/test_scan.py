import os
from pathlib import Path

import pytest

from psol_ray.catalog.scan import read_class_folders, scan_folder
from psol_ray.errors import UserError

from .trees import touch


@pytest.mark.parametrize(
    ("name", "is_image"),
    [
        *((f"a{suffix}", True) for suffix in (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")),
        ("a.JPEG", True),
        ("a.b.Png", True),
        (".hidden.jpg", False),
        (".jpg", False),
        ("Thumbs.db", False),
        ("a.txt", False),
        ("jpg", False),
        ("a.jpg.part", False),
    ],
)
def test_images_go_by_suffix(tmp_path: Path, name: str, is_image: bool) -> None:
    touch(tmp_path, name)
    assert scan_folder(tmp_path).images == ([name] if is_image else [])


def test_a_folder_named_like_an_image_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg/a.jpg")
    found = scan_folder(tmp_path)
    assert (found.images, found.folders) == ([], ["b.jpg"])


def test_links_to_images_and_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/cat/1.jpg", "data/train/dog/2.jpg")
    (tmp_path / "data/train/cat").symlink_to(tmp_path / "elsewhere/cat")
    (tmp_path / "data/train/dog/3.jpg").symlink_to(tmp_path / "elsewhere/cat/1.jpg")
    image_ids, _ = read_class_folders(tmp_path / "data", "train")
    assert image_ids.to_pylist() == ["train/cat/1.jpg", "train/dog/2.jpg", "train/dog/3.jpg"]


def test_a_loop_of_links_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1.jpg")
    (tmp_path / "train/cat/again").symlink_to(tmp_path / "train/cat")
    with pytest.raises(UserError, match=r"train/cat/again.*symbolic links"):
        read_class_folders(tmp_path, "train")


def test_images_at_any_depth_sorted_by_class_then_path(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "train/b/z.jpg",
        "train/b/deep/er/y.jpg",
        "train/a/2.jpg",
        "train/a/10.jpg",
        "train/.git/x.jpg",
    )
    image_ids, class_names = read_class_folders(tmp_path, "train")
    assert image_ids.to_pylist() == [
        "train/a/10.jpg",
        "train/a/2.jpg",
        "train/b/deep/er/y.jpg",
        "train/b/z.jpg",
    ]
    assert class_names.to_pylist() == ["a", "a", "b", "b"]


def test_empty_class_folders_are_counted_and_named(tmp_path: Path) -> None:
    touch(tmp_path, "train/full/1.jpg", *(f"train/empty{i}/notes.txt" for i in range(5)))
    with pytest.raises(UserError, match=r"train: found 5 class folders .*\(empty0, empty1, empty2 and 2 more\)"):
        read_class_folders(tmp_path, "train")


def test_an_image_outside_class_folders_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1.jpg", "train/lost.jpg")
    with pytest.raises(UserError, match=r"train: found 1 images outside class folders \(lost.jpg\)"):
        read_class_folders(tmp_path, "train")


def test_no_class_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match="train: found no class folders"):
        read_class_folders(tmp_path, "train")


def test_a_name_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1.jpg")
    os.close(os.open(os.fsencode(tmp_path) + b"/train/cat/\xff.jpg", os.O_CREAT))
    with pytest.raises(UserError, match=r"train/cat: found the file name .*udcff.jpg', expected UTF-8"):
        read_class_folders(tmp_path, "train")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone cannot be listed \(No such file"):
        scan_folder(tmp_path / "gone")
