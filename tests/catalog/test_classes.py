"""Class folders without splits, and one folder of one class."""

import re
from pathlib import Path

import pytest

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.passed_over import describe
from psol_ray.errors import UserError

from .trees import boxes_of, rows_of, touch, write

HEADER = "image_id,x0,y0,x1,y1\n"


def test_class_folders_below_the_root(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.JPG", "cat/sub/2.png", "dog/1.jpg", "notes/a.txt", "stray.png", "dog/.x.jpg", ".git/a.jpg")
    write(tmp_path / "boxes.csv", f"{HEADER}dog/1.jpg,0,0,4,4\nstray.png,0,0,1,1\n")
    listing = list_data("classes", str(tmp_path))
    assert rows_of(listing.images) == [
        ("cat/1.JPG", "train", 0),
        ("cat/sub/2.png", "train", 0),
        ("dog/1.jpg", "train", 1),
    ]
    assert listing.images["class_name"].to_pylist() == ["cat", "cat", "dog"]
    assert boxes_of(listing.images) == {"dog/1.jpg": [(0, 0, 4, 4)]}
    assert describe(listing.passed_over) == (
        "1 with other suffixes (.txt), 2 hidden, 1 images beside the class folders (stray.png), 1 folders that are not"
        " read (notes), 1 boxes of images in them (stray.png)"
    )
    assert listing.remarks == ["all are training images: there is no test split"]


def test_one_folder_is_one_class_named_like_it(tmp_path: Path) -> None:
    touch(tmp_path, "birds/1.jpg", "birds/2024/2.PNG", "birds/a.txt")
    (tmp_path / "link").symlink_to("birds")
    for name in ("birds", "link", "birds/"):
        listing = list_data("one_class", f"{tmp_path}/{name}")
        assert rows_of(listing.images) == [("1.jpg", "train", 0), ("2024/2.PNG", "train", 0)]
        assert set(listing.images["class_name"].to_pylist()) == {"birds"}


@pytest.mark.parametrize("layout", ["classes", "one_class"])
def test_boxes_of_unknown_images(tmp_path: Path, layout: str) -> None:
    touch(tmp_path, "cat/1.jpg")
    write(tmp_path / "boxes.csv", f"{HEADER}cat/2.jpg,0,0,4,4\n")
    with pytest.raises(UserError, match=re.escape("boxes.csv: found 1 boxes of images that are not there (cat/2.jpg)")):
        list_data(layout, str(tmp_path))


@pytest.mark.parametrize(
    ("layout", "complaint"), [("classes", "found no folder with images"), ("one_class", "found no image, expected")]
)
def test_nothing_there(tmp_path: Path, layout: str, complaint: str) -> None:
    touch(tmp_path, "cat/a.txt")
    with pytest.raises(UserError, match=complaint):
        list_data(layout, str(tmp_path))
