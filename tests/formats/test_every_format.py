"""What holds of every format: what is exported comes in again, and what does not fit leaves nothing."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.errors import UserError
from psol_ray.formats.matching import hash_boxes, read_boxes
from psol_ray.formats.registry import WRITTEN, find_format
from psol_ray.geometry.boxes import iou
from psol_ray.tables.boxes_table import boxes_table
from psol_ray.tables.schemas import CATALOG, boxes_array

from .synthetic import (
    BOXES_3,
    CATALOG_3,
    NAMES,
    NAN_BOX,
    SIZES,
    catalog_of,
    contents,
    make_boxes,
    make_catalog,
    table_of,
)

TO_THE_DIGIT = {"csv", "coco", "parquet"}
SHARES = {"psol_json", "yolo", "fiftyone", "labelstudio"}  # of the image's sides, in as many digits as a float32 has
WHOLE_PIXELS = {"wsol", "voc"}  # and wsol_maps knows cells of a map
MEASURED = {"coco", "parquet", "fiftyone", "labelstudio"}  # have scores of what was measured, which an import leaves
SAYS_NOTHING_FOUND = {"coco", "parquet", "fiftyone", "labelstudio"}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_was_exported_comes_in_again(tmp_path: Path, name: str) -> None:
    catalog = make_catalog()
    boxes = make_boxes(catalog)
    assert find_format(name).write(tmp_path / "out", catalog, boxes) == 0
    table = read_boxes(name, str(tmp_path / "out"), catalog)
    assert table["image_id"].to_pylist() == NAMES
    assert table["status"].to_pylist() == ["ok"] * 4
    assert iou(boxes_array(table), boxes_array(boxes)).min() > (0.999999 if name in TO_THE_DIGIT | SHARES else 0.95)
    if name in TO_THE_DIGIT:
        assert hash_boxes(table) == hash_boxes(boxes)
    if name not in MEASURED:
        find_format(name).write(tmp_path / "again", catalog, table)
        assert contents(tmp_path / "again") == contents(tmp_path / "out")


# A header that cannot be read, a file that is cut short behind it, and boxes that are points and lines.
ROUGH = [
    ("train/n01/a.jpg", 1000, 500, [100.0, 200.0, 700.0, 450.0], "ok"),
    ("train/n01/cut short.jpg", 40, 20, NAN_BOX, "unreadable"),
    ("train/n01/no header.jpg", 0, 0, NAN_BOX, "unreadable"),
    ("train/n02/line.jpg", 224, 224, [7.0, 9.0, 7.0, 30.0], "ok"),
    ("train/n02/corner.jpg", 224, 224, [223.0, 223.0, 223.0, 223.0], "ok"),
    ("train/n02/border.jpg", 224, 224, [224.0, 0.0, 224.0, 224.0], "ok"),
    ("test/n01/all of it.jpg", 300, 400, [0.0, 0.0, 300.0, 400.0], "ok"),
    ("test/n02/cut short.jpg", 60, 70, NAN_BOX, "unreadable"),
]


@pytest.fixture
def rough() -> tuple[pa.Table, pa.Table]:
    """A catalog and its boxes, with all that a run may hold."""
    rows = [
        {"image_id": name, "label": int(name.split("/")[1][1:]) - 1, "class_name": name.split("/")[1], "gt_boxes": []}
        | {"split": name.split("/")[0], "width": width, "height": height}
        for name, width, height, *_ in ROUGH
    ]
    catalog = pa.Table.from_pylist(rows, schema=CATALOG)
    boxes_N4 = np.array([row[3] for row in ROUGH])
    return catalog, boxes_table(catalog, boxes_N4, np.array([row[4] for row in ROUGH]))


@pytest.mark.parametrize("name", WRITTEN)
def test_images_without_a_box_and_boxes_without_area_come_in_again(
    tmp_path: Path, rough: tuple[pa.Table, pa.Table], name: str
) -> None:
    catalog, boxes = rough
    assert find_format(name).write(tmp_path / "out", catalog, boxes) == 3
    table = read_boxes(name, str(tmp_path / "out"), catalog)
    assert table["image_id"].to_pylist() == boxes["image_id"].to_pylist()
    assert table["status"].to_pylist() == boxes["status"].to_pylist()
    # A pixel or a cell of the smallest images is 1, of the largest 1000 / 224.
    tolerance = 1e-4 if name in TO_THE_DIGIT | SHARES else 1 if name in WHOLE_PIXELS else 1000 / 224
    np.testing.assert_allclose(boxes_array(table), boxes_array(boxes), atol=tolerance)
    if name in TO_THE_DIGIT:
        assert hash_boxes(table) == hash_boxes(boxes)
    if name not in MEASURED:
        find_format(name).write(tmp_path / "again", catalog, table)
        assert contents(tmp_path / "again") == contents(tmp_path / "out")


@pytest.mark.parametrize("name", WRITTEN)
def test_that_nothing_was_found_is_said_where_it_can_be(tmp_path: Path, name: str) -> None:
    catalog = make_catalog()
    boxes_N4 = np.array([[0.0, 0.0, width, height] for width, height in SIZES])
    boxes = boxes_table(catalog, boxes_N4, np.array(["ok", "no_foreground", "ok", "no_foreground"]))
    find_format(name).write(tmp_path / "out", catalog, boxes)
    table = read_boxes(name, str(tmp_path / "out"), catalog)
    assert table["status"].to_pylist() == (boxes["status"].to_pylist() if name in SAYS_NOTHING_FOUND else ["ok"] * 4)
    tolerance = 1 if name in WHOLE_PIXELS else 0  # wsol's boxes end in the last pixel
    np.testing.assert_allclose(boxes_array(table), boxes_N4, rtol=1e-6, atol=tolerance)


ODD_NAMES = [
    "n01/a.jpg",
    "n01/a.png",
    "n02/a.jpg",
    "n02/a.jpg.png",
    "n02/images/b.jpg",
    "n02/labels/b.jpg",
    "n02/<script>alert('1')</script> & \"x\".jpg",
    "n03/é ü 猫.JPEG",
    "n03/two  blanks .jpg",
    "n03/50%25 off #1?.jpg",
    "n03/back\\slash.jpg",
    "n03/no_suffix",
    "n03/.jpg",
    "n03/deep/er/a.jpg",
]


@pytest.mark.parametrize("split", ["test", "train"])
@pytest.mark.parametrize("name", WRITTEN)
def test_odd_names_come_in_again(tmp_path: Path, name: str, split: str) -> None:
    rows = [(f"{split}/{odd}", i % 3, f"<b>&\"{i % 3}'", 40 + i, 20) for i, odd in enumerate(ODD_NAMES)]
    catalog = catalog_of(*rows)
    if split == "train":
        catalog = catalog.set_column(3, "split", pa.array(["train"] * len(catalog)))
    boxes_N4 = np.array([[1.0, 2.0, 20.0 + i, 19.0] for i in range(len(catalog))])
    boxes = boxes_table(catalog, boxes_N4, np.full(len(catalog), "ok"))
    find_format(name).write(tmp_path / "out", catalog, boxes)
    table = read_boxes(name, str(tmp_path / "out"), catalog)
    assert table["image_id"].to_pylist() == catalog["image_id"].to_pylist()
    np.testing.assert_allclose(boxes_array(table), boxes_N4, rtol=1e-6, atol=1 if name == "wsol_maps" else 0)


@pytest.mark.parametrize("name", WRITTEN)
def test_some_rows_of_the_catalog_are_enough(tmp_path: Path, name: str) -> None:
    catalog = make_catalog()
    assert find_format(name).write(tmp_path / "out", catalog, make_boxes(catalog).slice(1, 1)) == 0
    with pytest.raises(UserError, match=r"1 image \(train/n01/a.jpg\) of 2 train images without a box"):
        read_boxes(name, str(tmp_path / "out"), catalog)


@pytest.mark.parametrize("name", WRITTEN)
def test_without_the_list_of_unreadable_images_a_split_is_incomplete(
    tmp_path: Path, rough: tuple[pa.Table, pa.Table], name: str
) -> None:
    catalog, boxes = rough
    find_format(name).write(tmp_path / "out", catalog, boxes)
    (tmp_path / "out/unreadable.csv").unlink()
    # The catalog itself says that the image without a header cannot be read.
    complaint = r"1 image \(train/n01/cut short.jpg\) of 6 train images without a box; add them, list those that cannot"
    with pytest.raises(UserError, match=complaint):
        read_boxes(name, str(tmp_path / "out"), catalog)


@pytest.mark.parametrize("name", WRITTEN)
def test_one_split_alone(tmp_path: Path, name: str) -> None:
    catalog = make_catalog()
    find_format(name).write(tmp_path / "out", catalog, make_boxes(catalog).slice(0, 2))
    assert read_boxes(name, str(tmp_path / "out"), catalog)["image_id"].to_pylist() == NAMES[:2]


@pytest.mark.parametrize("name", WRITTEN)
class TestEveryFormat:
    def test_nothing_to_write(self, tmp_path: Path, name: str) -> None:
        assert find_format(name).write(tmp_path / "out", CATALOG_3, table_of(c=NAN_BOX)) == 1
        assert find_format(name).write(tmp_path / "none", CATALOG_3, table_of()) == 0
        assert (tmp_path / "out").is_dir()

    def test_an_image_without_a_size_is_left_out(self, tmp_path: Path, name: str) -> None:
        assert find_format(name).write(tmp_path / "out", CATALOG_3, table_of(c=[0, 0, 1, 1], a=[0, 0, 1, 1])) == 1
        assert (tmp_path / "out/unreadable.csv").read_text() == "image_id\nc.jpg\n"
        # A score map is named after its image, other files name it.
        texts = [path.encode() + text for path, text in contents(tmp_path / "out").items() if path != "unreadable.csv"]
        assert any(b"a.jpg" in text or b"val/a.txt" in text for text in texts)
        assert not any(b"c.jpg" in text or b"val/c.txt" in text for text in texts)

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (table_of(z=[0, 0, 1, 1]), "1 image (z.jpg) not in the catalog"),
            (pa.concat_tables([BOXES_3] * 2), "3 images (a.jpg, b.jpg, c.jpg) more than once"),
            (table_of(a=[5, 0, 4, 9]), "1 image (a.jpg) with a box that is inside out"),
        ],
        ids=["unknown", "twice", "inside out"],
    )
    def test_a_bad_table_leaves_nothing(self, tmp_path: Path, name: str, table: Any, message: str) -> None:
        with pytest.raises(UserError, match=re.escape(message)):
            find_format(name).write(tmp_path / "out", CATALOG_3, table)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_with_something_in_it_is_left_as_it_is(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(UserError, match="found something there"):
            find_format(name).write(tmp_path, CATALOG_3, BOXES_3)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    def test_an_image_outside_the_root_is_neither_written_nor_read(self, tmp_path: Path, name: str) -> None:
        catalog = catalog_of(("../../a.jpg", 0, "cat", 10, 10), ("/b.jpg", 0, "cat", 10, 10))
        table = table_of(**{"../../a": [0, 0, 10, 10], "/b": [0, 0, 10, 10]})
        with pytest.raises(UserError, match=r"table: 2 images \(../../a.jpg, /b.jpg\) whose path leaves the folder"):
            find_format(name).write(tmp_path / "x/y/out", catalog, table)
        assert list(tmp_path.iterdir()) == []
        if name == "wsol_maps":
            with pytest.raises(
                UserError, match=r"catalog: 2 images \(../../a.jpg, /b.jpg\) whose path leaves the folder"
            ):
                find_format(name).read(tmp_path, catalog, 0.5)
