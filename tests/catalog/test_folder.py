import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.layouts import list_data, list_images
from psol_ray.catalog.listing import LISTING, build_catalog
from psol_ray.catalog.passed_over import Reason, describe
from psol_ray.errors import UserError

from .trees import boxes_of, rows_of, save, touch, write

HEADER = "image_id,x0,y0,x1,y1\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    touch(tmp_path, "train/dog/1.jpg", "train/cat/sub/2.png", "train/cat/Thumbs.db", "val/dog/3.JPG")
    return tmp_path


def test_images_and_labels(root: Path) -> None:
    listing = list_images("folder", str(root))
    assert listing.schema.equals(LISTING)
    assert rows_of(listing) == [
        ("train/cat/sub/2.png", "train", 0),
        ("train/dog/1.jpg", "train", 1),
        ("val/dog/3.JPG", "test", 1),
    ]
    assert listing["class_name"].to_pylist() == ["cat", "dog", "dog"]
    assert boxes_of(listing) == {}


def test_a_folder_named_test_will_do(root: Path) -> None:
    (root / "val").rename(root / "test")
    assert rows_of(list_images("folder", str(root)))[-1] == ("test/dog/3.JPG", "test", 1)


def test_without_a_test_split(tmp_path: Path) -> None:
    touch(tmp_path, "train/dog/1.jpg")
    assert rows_of(list_images("folder", str(tmp_path))) == [("train/dog/1.jpg", "train", 0)]


def test_boxes_of_either_split_several_an_image(root: Path) -> None:
    rows = "val/dog/3.JPG,0,0,4,4\ntrain/cat/sub/2.png,1,2,3,4\nval/dog/3.JPG,5,5,6.5,7\n"
    write(root / "boxes.csv", HEADER + rows)
    assert boxes_of(list_images("folder", str(root))) == {
        "train/cat/sub/2.png": [(1, 2, 3, 4)],
        "val/dog/3.JPG": [(0, 0, 4, 4), (5, 5, 6.5, 7)],
    }


def test_boxes_of_unknown_images_are_an_error(root: Path) -> None:
    write(root / "boxes.csv", HEADER + "train/dog/1.jpg,0,0,4,4\ndog/1.jpg,0,0,4,4\n1.jpg,0,0,4,4\n")
    expected = r"boxes.csv: found 2 boxes of images that are not there \(dog/1.jpg, 1.jpg\).*such as train/cat"
    with pytest.raises(UserError, match=expected):
        list_images("folder", str(root))


def test_no_training_folder_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "val/dog/1.jpg")
    with pytest.raises(UserError, match=f"{tmp_path} has no folder train"):
        list_images("folder", str(tmp_path))


@pytest.mark.parametrize(
    ("train", "held_out"), [("Train", "Val"), ("train", "valid"), ("training", "validation"), ("TRAIN", "Testing")]
)
def test_splits_have_the_names_that_people_give_them(root: Path, train: str, held_out: str) -> None:
    (root / "train").rename(root / train)
    (root / "val").rename(root / held_out)
    found = list_data("folder", str(root))
    assert rows_of(found.images)[1:] == [(f"{train}/dog/1.jpg", "train", 1), (f"{held_out}/dog/3.JPG", "test", 1)]
    assert found.remarks == [f"{held_out} is the test split"]


@pytest.mark.parametrize("name", ["val", "test"])
def test_nothing_is_said_of_what_is_plain(root: Path, name: str) -> None:
    (root / "val").rename(root / name)
    assert list_data("folder", str(root)).remarks == []


def test_of_three_splits_test_is_left_for_later(root: Path) -> None:
    (root / "val").rename(root / "valid")
    touch(root, "test/dog/4.jpg", "docs/a.txt", "README.md", "preview.png")
    found = list_data("folder", str(root))
    assert rows_of(found.images)[-1] == ("valid/dog/3.JPG", "test", 1)
    assert found.remarks == ["valid is the test split"]
    assert describe(found.passed_over) == (
        "1 with other suffixes (.md), 1 left behind by other programs (Thumbs.db), 1 images beside the splits' folders"
        " (preview.png), 2 folders that are not read (docs, test)"
    )


def test_boxes_of_a_split_that_is_not_read_are_passed_over_with_it(root: Path) -> None:
    touch(root, "test/dog/4.jpg")
    write(root / "boxes.csv", HEADER + "val/dog/3.JPG,0,0,4,4\ntest/dog/4.jpg,0,0,4,4\ntest/dog/4.jpg,1,1,4,4\n")
    found = list_data("folder", str(root))
    assert boxes_of(found.images) == {"val/dog/3.JPG": [(0, 0, 4, 4)]}
    assert describe(found.passed_over).endswith(
        "1 folders that are not read (test), 2 boxes of images in them (test 2)"
    )


@pytest.mark.parametrize("other", ["valid", "VAL", "Train"])
def test_two_folders_for_one_split_are_an_error(root: Path, other: str) -> None:
    touch(root, f"{other}/dog/4.jpg")
    with pytest.raises(UserError, match=r"found the folders \w+ and \w+, expected one of them; move one elsewhere"):
        list_images("folder", str(root))


@pytest.mark.parametrize("name", ["val", "Test", "boxes.csv"])
def test_what_would_be_read_and_is_a_broken_link_is_an_error(root: Path, name: str) -> None:
    shutil.rmtree(root / "val")
    (root / name).symlink_to("gone")
    with pytest.raises(UserError, match=f"{name}: found a link that leads nowhere; mend or remove it"):
        list_images("folder", str(root))


def test_a_pipe_by_the_name_of_annotations_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "boxes.csv")
    found = list_data("folder", str(root))
    assert boxes_of(found.images) == {}
    assert found.passed_over[Reason.NO_FILE, "boxes.csv"] == 1


def test_names_in_other_unicode_forms_are_the_same(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    touch(tmp_path, f"train/{nfd}/1.jpg", f"val/{nfc}/{nfd}.jpg")
    write(tmp_path / "boxes.csv", HEADER + f"train/{nfc}/1.jpg,0,0,4,4\nval/{nfd}/{nfc}.jpg,0,0,5,5\n")
    listing = list_images("folder", str(tmp_path))
    assert rows_of(listing) == [(f"train/{nfd}/1.jpg", "train", 0), (f"val/{nfc}/{nfd}.jpg", "test", 0)]
    assert listing["class_name"].to_pylist() == [nfc, nfc]
    assert list(boxes_of(listing).values()) == [[(0, 0, 4, 4)], [(0, 0, 5, 5)]]
    touch(tmp_path, f"train/{nfd}/{nfc}.jpg", f"train/{nfd}/{nfd}.jpg")
    with pytest.raises(UserError, match=r"found 2 names that look like .* U\+0301"):
        list_images("folder", str(tmp_path))


def test_what_is_read_of_annotations_is_said(root: Path) -> None:
    assert list_data("folder", str(root)).annotations == []
    write(root / "boxes.csv", HEADER)
    assert list_data("folder", str(root)).annotations == [root / "boxes.csv"]
    assert (Reason.SUFFIX, ".csv") not in list_data("folder", str(root)).passed_over


def test_an_empty_class_folder_is_an_error_in_either_split(root: Path) -> None:
    (root / "val/cat").mkdir()
    with pytest.raises(UserError, match=r"val: found 1 class folders without images \(cat\)"):
        list_images("folder", str(root))


def test_a_class_only_in_val_is_an_error(root: Path) -> None:
    touch(root, "val/eel/4.jpg")
    with pytest.raises(UserError, match=r"found 1 test images of 1 classes without training images \(eel\)"):
        list_images("folder", str(root))


def test_a_catalog_from_files_to_table(tmp_path: Path) -> None:
    save(tmp_path / "train/dog/1.jpg", (30, 20))
    touch(tmp_path, "train/dog/2.jpg")
    listing = list_images("folder", str(tmp_path))
    catalog = build_catalog(listing, read_sizes(str(tmp_path), listing["image_id"].to_pylist()))
    assert catalog.select(["image_id", "width", "height"]).to_pylist() == [
        {"image_id": "train/dog/1.jpg", "width": 30, "height": 20},
        {"image_id": "train/dog/2.jpg", "width": 0, "height": 0},
    ]
