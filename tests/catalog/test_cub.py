import unicodedata
from pathlib import Path

import pytest

from psol_ray.catalog.layouts import list_images
from psol_ray.catalog.listing import LISTING
from psol_ray.errors import UserError

from .trees import Box, boxes_of, rows_of, touch, write

FILES = {
    "images.txt": "3 002.Owl/a.jpg\n7 001.Ant/b.jpg\n12 001.Ant/c d.jpg\n",
    "image_class_labels.txt": "3 2\n7 1\n12 1\n",
    "classes.txt": "1 001.Ant\n2 002.Owl\n9 009.Yak\n",
    "train_test_split.txt": "3 1\n7 1\n12 0\n",
    "bounding_boxes.txt": "12 60.0 27.0 325.0 304.0\n7 1.5 2.0 3.0 4.0\n3 0.0 0.0 5.0 6.0\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        write(tmp_path / name, text)
    return tmp_path


def test_images_labels_splits_and_boxes(root: Path) -> None:
    listing = list_images("cub", str(root))
    assert listing.schema.equals(LISTING)
    assert rows_of(listing) == [
        ("images/001.Ant/b.jpg", "train", 0),
        ("images/002.Owl/a.jpg", "train", 1),
        ("images/001.Ant/c d.jpg", "test", 0),
    ]
    assert listing["class_name"].to_pylist() == ["001.Ant", "002.Owl", "001.Ant"]
    assert boxes_of(listing) == {
        "images/001.Ant/b.jpg": [(1.5, 2, 4.5, 6)],
        "images/002.Owl/a.jpg": [(0, 0, 5, 6)],
        "images/001.Ant/c d.jpg": [(60, 27, 385, 331)],
    }


def test_names_in_other_unicode_forms_are_the_same(root: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "003.Caf\u00e9") for form in ("NFC", "NFD"))
    touch(root, f"images/{nfd}/{nfc}.jpg")
    for name, line in {
        "images.txt": f"20 {nfc}/{nfd}.jpg",
        "image_class_labels.txt": "20 3",
        "classes.txt": f"3 {nfd}",
        "train_test_split.txt": "20 1",
        "bounding_boxes.txt": "20 1 2 3 4",
    }.items():
        write(root / name, FILES[name] + line)
    listing = list_images("cub", str(root))
    assert dict(zip(listing["image_id"].to_pylist(), listing["class_name"].to_pylist(), strict=True)) == {
        "images/001.Ant/b.jpg": "001.Ant",
        "images/002.Owl/a.jpg": "002.Owl",
        f"images/{nfd}/{nfc}.jpg": nfc,
        "images/001.Ant/c d.jpg": "001.Ant",
    }
    assert boxes_of(listing)[f"images/{nfd}/{nfc}.jpg"] == [(1, 2, 4, 6)]
    write(root / "classes.txt", f"{FILES['classes.txt']}3 {nfd}\n4 {nfc}")
    with pytest.raises(UserError, match=r"classes.txt: found 2 names that look like .* U\+0301"):
        list_images("cub", str(root))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(root: Path, name: str) -> None:
    (root / name).unlink()
    with pytest.raises(UserError, match=f"{name} does not exist, expected a file of CUB-200-2011"):
        list_images("cub", str(root))


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("images.txt", "8", "an image id and a path"),
        ("images.txt", "x 001.Ant/e.jpg", "an image id and a path"),
        ("images.txt", "", "an image id and a path"),
        ("images.txt", "3 001.Ant/e.jpg", "each id once"),
        ("image_class_labels.txt", "8 one", "an image id and a class id"),
        ("classes.txt", "3", "a class id and a name"),
        ("train_test_split.txt", "8 2", "an image id and 0 or 1"),
        ("bounding_boxes.txt", "8 1 2 3", "an image id and x y width height"),
        ("bounding_boxes.txt", "8 1 2 3 4 5", "an image id and x y width height"),
        ("bounding_boxes.txt", "8 1 2 3 x", "an image id and x y width height"),
        ("bounding_boxes.txt", "8 nan 2 3 4", "an image id and x y width height"),
        ("bounding_boxes.txt", "8 1 2 inf 4", "an image id and x y width height"),
        ("bounding_boxes.txt", "8 1 2 3 inf", "an image id and x y width height"),
        ("bounding_boxes.txt", "8 1 2 3 0", "an image id and x y width height"),
        ("bounding_boxes.txt", "8 1 2 -3 4", "an image id and x y width height"),
    ],
)
def test_a_malformed_line_is_named(root: Path, name: str, line: str, expected: str) -> None:
    write(root / name, FILES[name] + line + "\n")
    with pytest.raises(UserError, match=rf"{name}, line 4: found '{line}', expected .*{expected}"):
        list_images("cub", str(root))


@pytest.mark.parametrize("name", ["image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt"])
def test_an_image_without_a_line_is_an_error(root: Path, name: str) -> None:
    write(root / name, "".join(line for line in FILES[name].splitlines(True) if not line.startswith("7 ")))
    with pytest.raises(UserError, match=rf"{name}: found no line for 1 image ids \(7\)"):
        list_images("cub", str(root))


def test_a_box_of_an_unlisted_image_is_an_error(root: Path) -> None:
    write(root / "bounding_boxes.txt", FILES["bounding_boxes.txt"] + "99 1 2 3 4\n")
    with pytest.raises(UserError, match=r"bounding_boxes.txt: found a line for 1 image ids \(99\)"):
        list_images("cub", str(root))


def test_a_class_without_name_is_an_error(root: Path) -> None:
    write(root / "classes.txt", "1 001.Ant\n")
    with pytest.raises(UserError, match=r"classes.txt: found no name for 1 class ids .*\(2\)"):
        list_images("cub", str(root))


def test_a_name_of_two_classes_is_an_error(root: Path) -> None:
    lines = (root / "classes.txt").read_text().splitlines()
    write(root / "classes.txt", "".join(f"{line.split()[0]} Bird\n" for line in lines))
    with pytest.raises(
        UserError, match=r"classes.txt: found 1 names of several class ids \(Bird\), expected another for"
    ):
        list_images("cub", str(root))


def test_a_path_listed_twice_is_an_error(root: Path) -> None:
    write(root / "images.txt", FILES["images.txt"] + "13 001.Ant/b.jpg\n")
    with pytest.raises(UserError, match=r"images.txt: found a path twice"):
        list_images("cub", str(root))


def test_no_training_image_is_an_error(root: Path) -> None:
    write(root / "train_test_split.txt", "3 0\n7 0\n12 0\n")
    with pytest.raises(UserError, match="found no training image"):
        list_images("cub", str(root))


def test_a_class_only_in_the_test_split_is_an_error(root: Path) -> None:
    write(root / "train_test_split.txt", "3 0\n7 1\n12 0\n")
    with pytest.raises(UserError, match=r"classes without training images \(002.Owl\)"):
        list_images("cub", str(root))


def test_text_of_another_encoding_is_an_error(root: Path) -> None:
    (root / "images.txt").write_bytes(b"3 002.Owl/\xff.jpg\n")
    with pytest.raises(UserError, match=r"images.txt: found .*expected text in UTF-8"):
        list_images("cub", str(root))


def official(folder: Path, name: str) -> dict[str, list[float]]:
    """A file of `wsolevaluation`'s: numbers by path below `images/`."""
    lines = (line.split(",") for line in (folder / name).read_text().split())
    return {path: [float(number) for number in numbers] for path, *numbers in lines}


def clipped_to_last_pixel(box: Box, width: float, height: float) -> list[float]:
    return [*box[:2], min(box[2], width - 1), min(box[3], height - 1)]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_real_images_have_the_official_labels_and_boxes(shared: Path, split: str) -> None:
    """`wsolevaluation` clips boxes to the last pixel, which changes 7 of 543; those of CUB are kept."""
    listing = list_images("cub", str(shared / "data/CUB_200_2011"))
    assert len(listing) == 543
    assert len(set(listing["class_name"].to_pylist())) == 10
    names = ("class_labels.txt", "localization.txt", "image_sizes.txt")
    labels, boxes, sizes = (official(shared / "data/wsolevaluation_metadata/CUB" / split, name) for name in names)
    found = boxes_of(listing)
    rows = [(image_id, label) for image_id, at, label in rows_of(listing) if at == split]
    assert len(rows) > 200
    for image_id, label in rows:
        path = image_id.removeprefix("images/")
        assert [label] == labels[path]
        assert [clipped_to_last_pixel(box, *sizes[path]) for box in found[image_id]] == [boxes[path]]
