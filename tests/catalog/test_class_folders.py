import os
import subprocess
import unicodedata
from pathlib import Path

import pytest

from psol_ray.catalog.class_folders import read_class_folders
from psol_ray.catalog.passed_over import Reason
from psol_ray.errors import UserError

from .trees import touch


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


@pytest.mark.parametrize("link", ["latest", "a_link_that_sorts_first"])
def test_a_folder_that_has_links_to_it_is_read_once_and_by_its_own_path(tmp_path: Path, link: str) -> None:
    touch(tmp_path, "train/cat/deep/er/1.jpg", "train/cat/deep/2.jpg", "train/dog/3.jpg")
    (tmp_path / "train/cat" / link).symlink_to("deep/er")
    (tmp_path / "train/dog" / link).symlink_to("../cat/deep")  # in another class: that is said by whoever made it
    found = read_class_folders(tmp_path, "train")
    assert found.image_ids.to_pylist() == [
        "train/cat/deep/2.jpg",
        "train/cat/deep/er/1.jpg",
        *sorted(["train/dog/3.jpg", f"train/dog/{link}/2.jpg", f"train/dog/{link}/er/1.jpg"]),
    ]
    assert found.passed_over == {(Reason.TWICE, link): 1}


def test_folders_that_link_to_each_other_are_read_once_each(tmp_path: Path) -> None:
    number = 8
    for i in range(number):
        touch(tmp_path, f"train/cat/s{i}/1.jpg")
        for j in range(number):
            if j != i:
                (tmp_path / f"train/cat/s{i}/to{j}").symlink_to(f"../s{j}")
    found = read_class_folders(tmp_path, "train")
    assert found.image_ids.to_pylist() == [f"train/cat/s{i}/1.jpg" for i in range(number)]
    assert found.passed_over == {(Reason.TWICE, f"to{j}"): number - 1 for j in range(number)}


def test_folders_may_be_nested_as_deep_as_paths_may_be_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train/cat").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "train/cat")
    for _ in range(1100):
        os.mkdir("a")
        os.chdir("a")
    Path("1.jpg").touch()
    monkeypatch.chdir(tmp_path)
    found = read_class_folders(Path("."), "train").image_ids.to_pylist()
    subprocess.run(["rm", "-r", "train"], check=True)  # which pytest, by recursion, could not
    assert found == [f"train/cat/{'a/' * 1100}1.jpg"]


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
