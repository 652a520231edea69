"""YOLO and VOC: a file an image, of ours and of others, and how files are named."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from psol_ray.errors import UserError
from psol_ray.formats import voc, yolo
from psol_ray.formats.matching import read_boxes
from psol_ray.formats.names import files_below, tree_names
from psol_ray.tables.schemas import boxes_array

from .synthetic import NAMES, catalog_of, contents, make_boxes, make_catalog, table_of


def names_of(*image_ids: str) -> list[str]:
    return list(tree_names(catalog_of(*((name, 0, "cat", 9, 9) for name in image_ids))).to_pylist())


def test_files_are_named_like_images_without_the_folders_that_all_share() -> None:
    assert tree_names(make_catalog()).to_pylist() == ["train/n01/a", "train/n02/a", "val/n01/b", "val/n02/c 1"]
    assert names_of("x/y/a.jpg", "x/z/b.tar.JPEG", "x/c") == ["val/y/a", "val/z/b.tar", "val/c"]
    assert names_of("x/y/a.jpg") == ["val/a"]
    assert names_of() == []


def test_images_of_one_stem_keep_their_suffix() -> None:
    assert names_of("a/x.jpg", "a/x.png", "b/x.jpg", "a/x.jpg.png") == [
        "val/a/x.jpg",
        "val/a/x.png",
        "val/b/x",
        "val/a/x.jpg.png",
    ]
    assert names_of("a /x .jpg", "b/y.jpg") == ["val/a /x .jpg", "val/b/y"]


def test_folders_that_yolo_would_replace_are_called_otherwise() -> None:
    assert names_of("a/images/x.jpg", "b/labels/images/x.jpg", "images.jpg") == [
        "val/a/images_/x",
        "val/b/labels_/images_/x",
        "val/images",
    ]
    with pytest.raises(
        UserError, match=r"2 images \(a/images/x.jpg, a/images_/x.jpg\) whose files would have the same"
    ):
        names_of("a/images/x.jpg", "a/images_/x.jpg", "b.jpg")


def test_a_name_that_leaves_no_room_for_a_suffix_is_refused() -> None:
    with pytest.raises(UserError, match=r"1 image .* named by more than 251 bytes"):
        names_of("é" * 126, "b.jpg")


class TestYolo:
    def test_a_file_an_image(self, tmp_path: Path) -> None:
        table = table_of(a=[0, 5, 30.25, 20], b=[3, 0, 4, 1])
        yolo.write(tmp_path / "out", catalog_of(("b.jpg", 4, "dog", 3, 1), ("a.jpg", 2, "cat", 100, 50)), table)
        found = contents(tmp_path / "out")
        assert found.pop("labels/val/a.txt") == b"0 0.15125 0.25 0.3025 0.3\n"
        assert found.pop("labels/val/b.txt") == b"1 1 0.5 0 1\n"  # clipped to its image
        data = yaml.safe_load(found.pop("data.yaml"))
        assert data == {"train": "images/val", "val": "images/val", "names": {0: "cat", 1: "dog"}}
        assert found == {}

    @pytest.mark.parametrize("layout", ["labels/{split}/{name}.txt", "{split}/labels/{name}.txt"])
    def test_labels_of_others(self, tmp_path: Path, layout: str) -> None:
        """With scores, as detectors write them, and with an image in which nothing was found."""
        texts = ["1 0.5 0.5 0.2 0.4 0.25\n0 0.5 0.5 1 1 0.5\n", "\n"]
        for name, text in zip(("n01/a", "n02/a"), texts, strict=True):
            path = tmp_path / layout.format(split="train", name=name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        table = read_boxes("yolo", str(tmp_path), make_catalog())
        assert boxes_array(table).tolist() == [[0, 0, 500, 375], [0, 0, 333, 500]]
        assert table["status"].to_pylist() == ["ok", "no_foreground"]

    @pytest.mark.parametrize(
        ("text", "data", "complaint"),
        [
            ("0 0.5 0.5 1\n", None, "1 image (labels/train/n01/a) with a line that is not a class and four numbers"),
            ("0 0.5 0.5 1 x", None, "1 image (labels/train/n01/a) with a line that is not a class and four numbers"),
            ("0 .5 .5 1 1\n0 .5 .5 1 1\n", None, "1 image (train/n01/a.jpg) with more than one box"),
            ("0 0.9 0.5 0.9 1\n", None, "1 image (train/n01/a.jpg) with a box that reaches outside"),
            ("0 0.5 0.5 -0.5 1\n", None, "1 image (train/n01/a.jpg) with a box that is inside out"),
            ("2 0.5 0.5 1 1\n", "names: [a, b]", "1 image (labels/train/n01/a) with a class that data.yaml does not"),
            ("0 0.5 0.5 1 1\n", "names: 3", "data.yaml: found object of type 'int' has no len(), expected YAML with"),
            ("0 0.5 0.5 1 1\n", "[", "data.yaml: found while parsing a flow node, expected YAML with the classes' n"),
        ],
    )
    def test_what_cannot_be_imported(self, tmp_path: Path, text: str, data: str | None, complaint: str) -> None:
        catalog = make_catalog()
        yolo.write(tmp_path / "out", catalog, make_boxes(catalog))
        (tmp_path / "out/labels/train/n01/a.txt").write_text(text)
        (tmp_path / "out/data.yaml").unlink()
        if data:
            (tmp_path / "out/data.yaml").write_text(data)
        with pytest.raises(UserError, match=re.escape(complaint)) as refusal:
            read_boxes("yolo", str(tmp_path / "out"), catalog)
        assert "\n" not in str(refusal.value)

    def test_files_of_no_image_or_of_several_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels/a.txt").write_text("")
        with pytest.raises(UserError, match=r"1 image \(a\) that may be any of several in the catalog; give longer"):
            read_boxes("yolo", str(tmp_path), make_catalog())
        (tmp_path / "labels/a.txt").rename(tmp_path / "labels/z.txt")
        with pytest.raises(UserError, match=r"1 image \(z\) not in the catalog"):
            read_boxes("yolo", str(tmp_path), make_catalog())
        (tmp_path / "labels/z.txt").unlink()
        with pytest.raises(UserError, match=r"boxes.imported.path: found no labels/\*.txt in"):
            read_boxes("yolo", str(tmp_path), make_catalog())


OBJECT = "<object><name>x</name><bndbox>{}</bndbox></object>"
XML = f"<annotation>{OBJECT}</annotation>"
TWO = "<annotation>" + 2 * OBJECT.format("<xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>9</ymax>") + "</annotation>"
CORNERS = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"


class TestVoc:
    def test_boxes_are_the_first_and_the_last_pixel_counted_from_1(self, tmp_path: Path) -> None:
        catalog = catalog_of(("a.jpg", 0, "cat", 100, 50), ("b.jpg", 0, "cat", 40, 20))
        voc.write(tmp_path / "out", catalog, table_of(a=[-3, 12.4, 30.6, 60], b=[40, 7, 40, 7]))
        assert (tmp_path / "out/ImageSets/Main/val.txt").read_text() == "val/a\nval/b\n"
        boxes = [re.findall(r"<[xy]m\w+>(\d+)<", (tmp_path / f"out/Annotations/val/{n}.xml").read_text()) for n in "ab"]
        # A box without area is a pixel.
        assert boxes == [["1", "13", "31", "50"], ["40", "8", "40", "8"]]
        table = read_boxes("voc", str(tmp_path / "out"), catalog)
        assert boxes_array(table).tolist() == [[0, 12, 31, 50], [39, 7, 40, 8]]

    def test_a_name_with_a_line_break_is_refused(self, tmp_path: Path) -> None:
        catalog = catalog_of(("a\nb.jpg", 0, "cat", 9, 9))
        with pytest.raises(UserError, match="with a line break in the name, which VOC's lists cannot hold"):
            voc.write(tmp_path / "out", catalog, table_of(**{"a\nb": [0, 0, 9, 9]}))
        assert list(tmp_path.iterdir()) == []

    def test_annotations_of_others(self, tmp_path: Path) -> None:
        (tmp_path / "Annotations/n02").mkdir(parents=True)
        (tmp_path / "Annotations/n01").mkdir()
        (tmp_path / "Annotations/n01/a.xml").write_text(XML.format(CORNERS.format(0, 1, 10.5, 20)))
        (tmp_path / "Annotations/n02/a.xml").write_text("<annotation/>")
        catalog = make_catalog().slice(0, 2)
        table = read_boxes("voc", str(tmp_path), catalog)
        # Who counts from 0 is a pixel off, and stays inside.
        assert boxes_array(table).tolist() == [[0, 0, 10.5, 20], [0, 0, 333, 500]]
        assert table["status"].to_pylist() == ["ok", "no_foreground"]

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("<annotation>", "a.xml: found no element found: line 1, column 12, expected XML"),
            (XML.format(""), "a.xml: found "),
            (XML.format(CORNERS.format(9, 1, 3, 20)), "1 image (train/n01/a.jpg) with a box that is inside out"),
            (XML.format(CORNERS.format(9, 1, 503, 20)), "1 image (train/n01/a.jpg) with a box that reaches outside"),
            (TWO, "1 image (train/n01/a.jpg) with more than one box"),
        ],
    )
    def test_what_cannot_be_imported(self, tmp_path: Path, text: str, complaint: str) -> None:
        catalog = make_catalog()
        voc.write(tmp_path / "out", catalog, make_boxes(catalog))
        (tmp_path / "out/Annotations/train/n01/a.xml").write_text(text)
        with pytest.raises(UserError, match=re.escape(complaint)) as refusal:
            read_boxes("voc", str(tmp_path / "out"), catalog)
        assert "\n" not in str(refusal.value)

    def test_there_is_nothing_to_read(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"boxes.imported.path: found no Annotations/\*.xml in"):
            read_boxes("voc", str(tmp_path), make_catalog())


def test_what_macos_leaves_beside_files_is_passed_over(tmp_path: Path) -> None:
    for name in ("a/b.txt", "a/._b.txt", ".hidden/c.txt", "d.txt", "e.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(files_below(tmp_path, ".txt")) == ["a/b", "d"]


def test_an_export_goes_by_its_own_names_before_any_end(tmp_path: Path) -> None:
    """`train/a` may be the end of another image's path, too."""
    catalog = make_catalog()
    ids = ["train/a.jpg", "train/train/a.jpg", *NAMES[2:]]
    catalog = catalog.set_column(0, "image_id", pa.array(ids))
    boxes = make_boxes(catalog)
    yolo.write(tmp_path / "out", catalog, boxes)
    table = read_boxes("yolo", str(tmp_path / "out"), catalog)
    np.testing.assert_allclose(boxes_array(table), boxes_array(boxes), atol=1e-5)
