"""Pascal VOC's trees."""

import re
from pathlib import Path

import pytest

from psol_ray.catalog.layouts import list_data, recognise_layout
from psol_ray.catalog.passed_over import describe
from psol_ray.errors import UserError

from .annotated import catalog_of
from .trees import Box, boxes_of, rows_of, save, touch, voc_xml, write

A: Box = (3, 4, 40, 30)
SIZE = (64, 48)


def tree(root: Path, **classes: str) -> Path:
    for name, class_name in classes.items():
        save(root / f"JPEGImages/{name}.jpg", SIZE)
        write(root / f"Annotations/{name}.xml", voc_xml(class_name, A, size=SIZE))
    return root


def sets(root: Path, **lists: str) -> None:
    for name, stems in lists.items():
        write(root / f"ImageSets/Main/{name}.txt", "".join(f"{stem}  1\n" for stem in stems))


@pytest.mark.parametrize(
    ("lists", "train", "test"),
    [
        ({}, "abcd", ""),
        ({"train": "ab", "val": "c", "trainval": "abc", "test": "d"}, "ab", "c"),
        ({"trainval": "abc", "test": "d"}, "abc", "d"),
        ({"trainval": "ab", "val": "b", "test": "d"}, "ab", "d"),
        ({"val": "ab"}, "abcd", ""),
    ],
)
def test_sets_name_the_splits(tmp_path: Path, lists: dict[str, str], train: str, test: str) -> None:
    sets(tree(tmp_path, a="cat", b="cat", c="cat", d="cat"), **lists)
    listing = list_data("voc", str(tmp_path))
    expected = [(f"JPEGImages/{name}.jpg", "train", 0) for name in train]
    assert rows_of(listing.images) == expected + [(f"JPEGImages/{name}.jpg", "test", 0) for name in test]
    left = 4 - len(train) - len(test)
    assert describe(listing.passed_over) == (f"{left} images of a split that is not read" if left else "")


def test_the_largest_class_counts(tmp_path: Path) -> None:
    root = tree(tmp_path, a="cat")
    both = voc_xml("dog", (0, 0, 60, 40), size=SIZE).replace("</annotation>", "")
    write(root / "Annotations/a.xml", both + voc_xml("cat", A).partition("</size>")[2])
    catalog, _, gaps = catalog_of("voc", root)
    assert catalog["class_name"].to_pylist() == ["dog"]
    assert boxes_of(catalog) == {"JPEGImages/a.jpg": [(0, 0, 60, 40)]}
    assert not gaps


def test_what_is_wrong_is_left_out_and_told(tmp_path: Path) -> None:
    root = tree(tmp_path, a="cat", b="cat", c="cat", d="dog")
    sets(root, train=["a", "b", "c", "d", "gone"])
    write(root / "Annotations/b.xml", "<annotation>")
    write(root / "Annotations/c.xml", voc_xml("cat", (40, 4, 3, 30), size=SIZE))
    write(root / "Annotations/d.xml", voc_xml("dog", size=SIZE))
    touch(root, "Annotations/lost.xml")
    catalog, listing, gaps = catalog_of("voc", root)
    assert boxes_of(catalog) == {"JPEGImages/a.jpg": [A]}
    assert catalog["image_id"].to_pylist() == ["JPEGImages/a.jpg", "JPEGImages/c.jpg"]
    broken, missing, odd = gaps
    assert re.search(r"Annotations: left out 1 XML files that cannot be read \(.*b.xml: found no element found", broken)
    assert "train.txt: left out 1 images that are not there (gone)" in missing
    assert "left out 1 of 2 boxes that are inside out or outside their images (40, 4, 3, 30 of JPEGImages/c.jpg" in odd
    assert describe(listing.passed_over) == "1 annotations of images that are not there (.xml), 2 without a label"


def test_sizes_of_other_images_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path, a="cat", b="cat", c="cat")
    for name in "abc":
        write(root / f"Annotations/{name}.xml", voc_xml("cat", A, size=(48, 64)))
    with pytest.raises(UserError, match=r"Annotations: found sizes that are not the images' for 3 .*swapped"):
        catalog_of("voc", root)


@pytest.mark.parametrize("names", [["JPEGImages/1.jpg"], ["Annotations/1.xml"], ["train/1.jpg"]])
def test_trees_that_are_none(tmp_path: Path, names: list[str]) -> None:
    touch(tmp_path, *names)
    with pytest.raises(UserError, match="found no images and XML, expected JPEGImages/ and Annotations/"):
        list_data("voc", str(tmp_path))


def test_names_with_blanks_are_names(tmp_path: Path) -> None:
    for name in ("my photo", "my photo 1", "b"):
        tree(tmp_path, **{name: "cat"})
    write(tmp_path / "ImageSets/Main/train.txt", "my photo\nmy photo 1\nb -1\n")
    catalog, _, gaps = catalog_of("voc", tmp_path)
    assert set(catalog["image_id"].to_pylist()) == {
        f"JPEGImages/{name}.jpg" for name in ("b", "my photo", "my photo 1")
    }
    assert not gaps


def test_xml_in_folders_of_splits_and_classes(tmp_path: Path) -> None:
    tree(tmp_path, **{"train/cats/a": "cat", "train/dogs/b": "dog"})
    assert recognise_layout(str(tmp_path))[0] == "voc"
    catalog, _, gaps = catalog_of("voc", tmp_path)
    assert catalog["class_name"].to_pylist() == ["cat", "dog"]
    assert not gaps
