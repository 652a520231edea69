import os
import socket
import unicodedata
from pathlib import Path

import pytest

from psol_ray.catalog.passed_over import Reason
from psol_ray.catalog.scan import read_class_folders, scan_folder
from psol_ray.errors import UserError

from .trees import touch


@pytest.mark.parametrize(
    ("name", "is_image"),
    [
        *((f"a{suffix}", True) for suffix in (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")),
        *((f"a{suffix}", True) for suffix in (".jfif", ".jpe", ".jp2", ".avif", ".ppm", ".pgm")),
        ("a.JFIF", True),
        ("a.pdf", False),
        ("a.heic", False),
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
    found = read_class_folders(tmp_path / "data", "train")
    assert found.image_ids.to_pylist() == ["train/cat/1.jpg", "train/dog/2.jpg", "train/dog/3.jpg"]


@pytest.mark.parametrize("target", ["train/cat", "train", ".", "other/b"])
def test_links_that_lead_back_are_not_followed(tmp_path: Path, target: str) -> None:
    touch(tmp_path, "train/cat/1.jpg", "other/b/2.jpg")
    # Of two in one folder a walk that followed them would never end.
    for name in ("again", "and_again"):
        (tmp_path / "train/cat" / name).symlink_to(tmp_path / target)
    (tmp_path / "other/b/back").symlink_to(tmp_path / "train/cat")
    found = read_class_folders(tmp_path, "train")
    assert found.passed_over[Reason.LOOP, "again" if target != "other/b" else "back"] in (1, 2)
    assert set(found.image_ids.to_pylist()) - {"train/cat/1.jpg"} <= {
        "train/cat/again/2.jpg",
        "train/cat/and_again/2.jpg",
    }


def test_a_broken_link_is_an_image_that_is_away_a_class_that_is_lost_or_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1.jpg")
    (tmp_path / "train/cat/2.jpg").symlink_to("gone.jpg")
    (tmp_path / "train/cat/3.jpg").symlink_to("3.jpg")
    (tmp_path / "train/cat/more").symlink_to("gone")
    found = read_class_folders(tmp_path, "train")
    assert found.image_ids.to_pylist() == [f"train/cat/{i}.jpg" for i in (1, 2, 3)]
    assert found.passed_over == {(Reason.BROKEN_LINK, "more"): 1}
    (tmp_path / "train/dog").symlink_to("gone")
    with pytest.raises(UserError, match=r"train: found 1 links that lead nowhere \(dog\), expected folders"):
        read_class_folders(tmp_path, "train")


def test_pipes_sockets_and_links_to_them_are_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    (tmp_path / "null.jpg").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s.jpg"))
        found = scan_folder(tmp_path)
    assert found.images == ["a.jpg"]
    assert found.passed_over == {(Reason.NO_FILE, f"{name}.jpg"): 1 for name in ("pipe", "link", "null", "s")}


def test_what_other_programs_leave_is_nobodys_class(tmp_path: Path) -> None:
    litter = ["@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found", "System Volume Information", "#recycle", "CVS"]
    hidden = [".ipynb_checkpoints", ".AppleDouble", ".Trash-1000"]
    touch(tmp_path, "train/cat/1.jpg", *(f"train/{name}/cat/1.jpg" for name in (*litter, *hidden)))
    touch(tmp_path, "train/cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "train/cat/._1.jpg", "train/cat/Thumbs.db")
    touch(tmp_path, "train/cat/desktop.ini", "train/cat/.DS_Store")
    found = read_class_folders(tmp_path, "train")
    assert found.class_names.to_pylist() == ["cat"]
    assert found.passed_over[Reason.HIDDEN, ""] == len(hidden) + 2
    assert sum(count for (why, _), count in found.passed_over.items() if why is Reason.LITTER) == len(litter) + 3


def test_two_forms_of_a_class_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, *(f"train/{unicodedata.normalize(form, 'café')}/1.jpg" for form in ("NFC", "NFD")))
    with pytest.raises(UserError, match=r"train: found 2 names that look like .* \(cafe U\+0301 / caf U\+00E9\)"):
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
    found = read_class_folders(tmp_path, "train")
    assert found.image_ids.to_pylist() == [
        "train/a/10.jpg",
        "train/a/2.jpg",
        "train/b/deep/er/y.jpg",
        "train/b/z.jpg",
    ]
    assert found.class_names.to_pylist() == ["a", "a", "b", "b"]


def test_empty_class_folders_are_counted_and_named(tmp_path: Path) -> None:
    touch(tmp_path, "train/full/1.jpg", *(f"train/empty{i}/notes.txt" for i in range(5)))
    expected = (
        r"train: found 5 class folders without images \(empty0, empty1, empty2 and 2 more;"
        r" in them 5 with other suffixes \(.txt 5\)\)"
    )
    with pytest.raises(UserError, match=expected):
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
