from pathlib import Path

import pytest

from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.layouts import list_images
from psol_ray.catalog.listing import LISTING, build_catalog
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


def test_two_test_folders_are_an_error(root: Path) -> None:
    touch(root, "test/dog/4.jpg")
    with pytest.raises(UserError, match="found val and test, expected one"):
        list_images("folder", str(root))


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
