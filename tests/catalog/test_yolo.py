"""YOLO's trees: labels, names of classes, and what is left out and told."""

import re
import unicodedata
from pathlib import Path

import pytest

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.passed_over import describe
from psol_ray.errors import UserError

from .annotated import catalog_of
from .trees import boxes_of, rows_of, save, touch, write

NAMES = "names: [cat, dog]\n"
LINE = "0 0.5 0.5 0.5 0.25\n"
BOX = (16, 18, 48, 30)  # of an image of 64 x 48


def tree(root: Path, labels: dict[str, str], yaml: str | None = NAMES) -> Path:
    for name, text in labels.items():
        save(root / f"images/train/{name}.jpg", (64, 48))
        write(root / f"labels/train/{name}.txt", text)
    if yaml is not None:
        write(root / "data.yaml", yaml)
    return root


def test_boxes_and_outlines(tmp_path: Path) -> None:
    outline = "1 0.25 0.375 0.75 0.375 0.75 0.625 0.3 0.5\n"
    catalog, _, gaps = catalog_of("yolo", tree(tmp_path, {"a": LINE, "deep/b": outline, "c": f"\n{LINE}0 .1 .1 .1 .1"}))
    assert catalog["class_name"].to_pylist() == ["cat", "cat", "dog"]
    boxes = boxes_of(catalog)
    assert boxes["images/train/a.jpg"] == [BOX]
    assert boxes["images/train/deep/b.jpg"] == [pytest.approx(BOX, abs=1e-5)]
    assert len(boxes["images/train/c.jpg"]) == 2
    assert not gaps


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("names: {0: cat, 1: dog}\nnc: 2\n", ["cat", "dog"]),
        ("path: ../x\ntrain: /gone\nnames:\n  - 7\n  - dog\n", ["7", "dog"]),
        (None, ["0000", "0001"]),
    ],
)
def test_names_of_classes(tmp_path: Path, yaml: str | None, expected: list[str]) -> None:
    listing = list_data("yolo", str(tree(tmp_path, {"a": LINE, "b": "1 .5 .5 .5 .5"}, yaml)))
    assert listing.images["class_name"].to_pylist() == expected
    assert any("called by their numbers" in each for each in listing.remarks) == (yaml is None)


def test_names_in_a_text(tmp_path: Path) -> None:
    write(tree(tmp_path, {"a": LINE}, None) / "classes.txt", "cat\ndog\n")
    assert list_data("yolo", str(tmp_path)).images["class_name"].to_pylist() == ["cat"]


@pytest.mark.parametrize(
    ("yaml", "complaint"),
    [
        ("names: [cat", "found while parsing a flow sequence"),
        ("train: x\n", "found no names of classes"),
        ("names: {a: cat}\n", "found no names of classes"),
        ("just text\n", "found no names of classes"),
        ("!!python/object/apply:os.system [id]\n", "found could not determine a constructor"),
    ],
)
def test_a_broken_yaml_is_named(tmp_path: Path, yaml: str, complaint: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'data.yaml'}: {complaint}")):
        list_data("yolo", str(tree(tmp_path, {"a": LINE}, yaml)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("7 .5 .5 .5 .5", "left out 1 boxes of a class that has no name (7 in b.txt)"),
        ("-1 .5 .5 .5 .5", "left out 1 boxes of a class that has no name (-1 in b.txt)"),
        ("0 .5 .5 .5", "left out 1 lines that are no class and four numbers (b.txt)"),
        ("0 .5 .5 .5 .5 .9", "left out 1 lines that are no class and four numbers (b.txt)"),
        ("cat .5 .5 .5 .5", "left out 1 lines that are no class and four numbers (b.txt)"),
        ("0 .5 nan .5 .5", "left out 1 lines that are no class and four numbers (b.txt)"),
        ("0 5.5 .5 .5 .5", "left out 1 of 2 boxes that are inside out or outside their images (5.5, 0.5, 0.5, 0.5 of"),
        ("0 .5 .5 -.5 .5", "left out 1 of 2 boxes that are inside out or outside their images (0.5, 0.5, -0.5, 0.5"),
    ],
)
def test_single_things_that_are_wrong_are_left_out_and_told(tmp_path: Path, text: str, told: str) -> None:
    catalog, _, gaps = catalog_of("yolo", tree(tmp_path, {"a": LINE, "b": text}))
    assert boxes_of(catalog) == {"images/train/a.jpg": [BOX]}
    (gap,) = gaps
    assert told in gap


def test_one_label_for_two_images_and_labels_for_none(tmp_path: Path) -> None:
    tree(tmp_path, {"a": LINE, "b": LINE, "c": ""})
    touch(tmp_path, "images/train/b.png", "images/train/d.jpg", "labels/train/gone.txt", "labels/train/old.txt")
    listing = list_data("yolo", str(tmp_path))
    assert rows_of(listing.images) == [("images/train/a.jpg", "train", 0)]
    assert "left out 2 images of which several have one file .txt (b.jpg, b.png)" in listing.gaps[0]
    assert describe(listing.passed_over) == "2 annotations of images that are not there (.txt 2), 2 without a label"


def test_splits_by_folders(tmp_path: Path) -> None:
    tree(tmp_path, {"a": LINE})
    for name in ("val2017", "test2017", "other"):
        save(tmp_path / f"images/{name}/v.jpg", (64, 48))
        write(tmp_path / f"labels/{name}/v.txt", LINE)
    listing = list_data("yolo", str(tmp_path))
    assert rows_of(listing.images) == [("images/train/a.jpg", "train", 0), ("images/val2017/v.jpg", "test", 0)]
    assert describe(listing.passed_over) == "1 folders that are not read (images/test2017)"


def test_without_splits_all_are_training_images(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"images/{name}.jpg", (64, 48))
        write(tmp_path / f"labels/{name}.txt", LINE)
    listing = list_data("yolo", str(tmp_path))
    assert rows_of(listing.images) == [("images/a.jpg", "train", 0), ("images/b.jpg", "train", 0)]


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["train/cat/1.jpg"], "found no images beside labels"),
        (
            ["valid/images/1.jpg", "valid/labels/1.txt"],
            "found only test images (valid/images), expected a folder train",
        ),
        (["images/1.jpg", "labels/1.txt"], "labels: found no class for any of 1 training images"),
    ],
)
def test_trees_that_are_none(tmp_path: Path, names: list[str], complaint: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(UserError, match=re.escape(complaint)):
        list_data("yolo", str(tmp_path))


@pytest.mark.parametrize("of_images", ["NFC", "NFD"])
@pytest.mark.parametrize("of_labels", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["caf\u00e9", "caf\u00e9/a"])
def test_names_in_either_form_of_unicode(tmp_path: Path, name: str, of_images: str, of_labels: str) -> None:
    save(tmp_path / f"images/train/{unicodedata.normalize(of_images, name)}.jpg", (64, 48))  # type: ignore[arg-type]
    write(tmp_path / f"labels/train/{unicodedata.normalize(of_labels, name)}.txt", LINE)  # type: ignore[arg-type]
    catalog, _, gaps = catalog_of("yolo", tmp_path)
    assert list(boxes_of(catalog).values()) == [[BOX]]
    assert not gaps


def test_a_class_that_no_number_can_be_is_a_malformed_line(tmp_path: Path) -> None:
    _, _, gaps = catalog_of("yolo", tree(tmp_path, {"a": LINE, "b": f"{LINE}1e300 .5 .5 .5 .5\n"}))
    assert "lines that are no class and four numbers" in gaps[0]


def test_a_blank_line_of_a_list_of_classes_has_a_number(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a": "2 0.5 0.5 0.5 0.25\n"}, yaml=None)
    write(root / "classes.txt", "cat\n\ndog\n")
    catalog, _, _ = catalog_of("yolo", root)
    assert catalog["class_name"].to_pylist() == ["dog"]
