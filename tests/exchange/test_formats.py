"""What others will read: each format on boxes drawn by hand, and the official files made again."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.errors import UserError
from psol_ray.exchange import FORMATS, write_csv, write_psol_json, write_wsol
from psol_ray.tables.schemas import BOXES, CATALOG, PREDICTIONS

NAN_BOX = [float("nan")] * 4
WSOL_NAMES = ("image_ids", "class_labels", "image_sizes", "localization")


def catalog_of(*rows: tuple[str, int, str, int, int]) -> pa.Table:
    names = ("image_id", "label", "class_name", "width", "height")
    made = [{**dict(zip(names, row, strict=True)), "split": "test", "gt_boxes": []} for row in rows]
    return pa.Table.from_pylist(made, schema=CATALOG)


def table_of(schema: pa.Schema = PREDICTIONS, **boxes: list[float]) -> pa.Table:
    """Boxes by image; the names' extension is left out."""
    corners = ("x0", "y0", "x1", "y1")
    rows = [{"image_id": f"{name}.jpg", **dict(zip(corners, box, strict=True))} for name, box in boxes.items()]
    return pa.Table.from_pylist(rows, schema=schema)


CATALOG_3 = catalog_of(("b.jpg", 4, "dog", 40, 20), ("a.jpg", 2, "cat", 100, 50), ("c.jpg", 4, "dog", 0, 0))
BOXES_3 = table_of(a=[-3, 12.5, 30.25, 60], b=[0, 0, 40, 20], c=NAN_BOX)


def read_lines(path: Path) -> list[str]:
    return path.read_text().split("\n")


def test_wsol_in_the_order_of_the_catalog_and_inside_the_last_pixel(tmp_path: Path) -> None:
    assert write_wsol(tmp_path / "out", CATALOG_3, BOXES_3) == 1
    assert read_lines(tmp_path / "out/image_ids.txt") == ["b.jpg", "a.jpg"]
    assert read_lines(tmp_path / "out/class_labels.txt") == ["b.jpg,4", "a.jpg,2"]
    assert read_lines(tmp_path / "out/image_sizes.txt") == ["b.jpg,40,20", "a.jpg,100,50"]
    assert read_lines(tmp_path / "out/localization.txt") == ["b.jpg,0,0,39,19", "a.jpg,0,12,30,49"]


@pytest.mark.parametrize(
    ("x1", "written"), [(30.49, 30), (30.51, 31), (30.5, 30), (31.5, 32), (98.7, 99), (99.2, 99), (250, 99)]
)
def test_wsol_rounds_to_the_nearest_pixel(tmp_path: Path, x1: float, written: int) -> None:
    write_wsol(tmp_path / "out", CATALOG_3, table_of(a=[0, 0, x1, 10]))
    assert read_lines(tmp_path / "out/localization.txt") == [f"a.jpg,0,0,{written},10"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_wsol_makes_the_official_files_of_cub_again(shared: Path, tmp_path: Path, split: str) -> None:
    official = shared / "data/wsolevaluation_metadata/CUB" / split
    rows = {name: [line.split(",") for line in read_lines(official / f"{name}.txt")] for name in WSOL_NAMES}
    sizes = [(int(width), int(height)) for _, width, height in rows["image_sizes"]]
    labels = [(image_id, int(label)) for image_id, label in rows["class_labels"]]
    catalog = catalog_of(*((*label, "bird", *size) for label, size in zip(labels, sizes, strict=True)))
    boxes = np.array([[float(v) for v in row[1:]] for row in rows["localization"]], np.float32)
    columns = {name: boxes[:, i] for i, name in enumerate(("x0", "y0", "x1", "y1"))}
    table = pa.table({"image_id": [row[0] for row in rows["localization"]], **columns})
    assert write_wsol(tmp_path / "out", catalog, table.take(np.arange(len(table))[::-1].copy())) == 0
    for name in WSOL_NAMES:
        assert (tmp_path / f"out/{name}.txt").read_bytes() == (official / f"{name}.txt").read_bytes()


def test_wsol_rounds_cubs_own_boxes_as_the_official_files_do(shared: Path, tmp_path: Path) -> None:
    cub = shared / "data/CUB_200_2011"
    names = {line.split()[0]: line.split()[1] for line in (cub / "images.txt").read_text().splitlines()}
    lines = [line.split() for line in (cub / "bounding_boxes.txt").read_text().splitlines()]
    xywh = {names[number]: np.array(box, float) for number, *box in lines}
    official: dict[str, dict[str, str]] = {"image_sizes": {}, "localization": {}}
    for split in ("train", "test"):
        for kind, found in official.items():
            path = shared / f"data/wsolevaluation_metadata/CUB/{split}/{kind}.txt"
            found.update((line.split(",", 1)[0], line.split(",", 1)[1]) for line in read_lines(path))

    sizes = {name: [int(v) for v in official["image_sizes"][name].split(",")] for name in xywh}
    catalog = catalog_of(*((name, 0, "bird", width, height) for name, (width, height) in sizes.items()))
    corners = np.array([[*box[:2], *(box[:2] + box[2:])] for box in xywh.values()], np.float32)
    columns = {name: corners[:, i] for i, name in enumerate(("x0", "y0", "x1", "y1"))}
    write_wsol(tmp_path / "out", catalog, pa.table({"image_id": list(xywh), **columns}))
    written = dict(line.split(",", 1) for line in read_lines(tmp_path / "out/localization.txt"))
    assert len(written) == 543
    assert written == {name: official["localization"][name] for name in xywh}


def test_psol_has_a_file_a_class_with_corner_and_size_as_fractions(tmp_path: Path) -> None:
    assert write_psol_json(tmp_path / "out", CATALOG_3, BOXES_3) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cat_bbox.json", "dog_bbox.json"]
    assert json.loads((tmp_path / "out/dog_bbox.json").read_text()) == {"b.jpg": [0, 0, 1, 1]}
    cat = json.loads((tmp_path / "out/cat_bbox.json").read_text())
    assert cat == {"a.jpg": pytest.approx([0, 0.25, 0.3025, 0.75])}


def test_csv_gives_the_same_floats_again(tmp_path: Path) -> None:
    box = [float(v) for v in np.array([0.1, 1 / 3, 33.3, 47.000004], np.float32)]
    table = table_of(BOXES, a=box, b=[0, 0, 40, 20], c=NAN_BOX)
    assert write_csv(tmp_path / "out", CATALOG_3, table) == 1
    lines = read_lines(tmp_path / "out/boxes.csv")
    assert lines == [
        "image_id,x0,y0,x1,y1",
        "b.jpg,0.0,0.0,40.0,20.0",
        "a.jpg,0.1,0.33333334,33.3,47.000004",
        "",
    ]
    with (tmp_path / "out/boxes.csv").open(newline="") as file:
        (_, row) = csv.DictReader(file)
    assert [float(np.float32(row[name])) for name in ("x0", "y0", "x1", "y1")] == box


def test_csv_quotes_what_it_must(tmp_path: Path) -> None:
    catalog = catalog_of(('a "b", c.jpg', 0, "cat", 10, 10))
    table = table_of(**{'a "b", c': [0.0, 0.0, 1.0, 1.0]})
    write_csv(tmp_path / "out", catalog, table)
    with (tmp_path / "out/boxes.csv").open(newline="") as file:
        assert [row["image_id"] for row in csv.DictReader(file)] == ['a "b", c.jpg']


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS.keys())
class TestEveryFormat:
    def test_nothing_to_write(self, tmp_path: Path, write: Callable[..., int]) -> None:
        assert write(tmp_path / "out", CATALOG_3, table_of(c=NAN_BOX)) == 1
        assert write(tmp_path / "none", CATALOG_3, table_of()) == 0
        assert (tmp_path / "out").is_dir()

    def test_an_image_without_a_size_is_left_out(self, tmp_path: Path, write: Callable[..., int]) -> None:
        assert write(tmp_path / "out", CATALOG_3, table_of(c=[0, 0, 1, 1], a=[0, 0, 1, 1])) == 1
        # A score map is named after its image, other files name it.
        texts = [path.name.encode() + path.read_bytes() for path in (tmp_path / "out").iterdir()]
        assert any(b"a.jpg" in text for text in texts)
        assert not any(b"c.jpg" in text for text in texts)

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (table_of(z=[0, 0, 1, 1]), "1 image (z.jpg) not in the catalog"),
            (pa.concat_tables([BOXES_3] * 2), "3 images (a.jpg, b.jpg, c.jpg) more than once"),
            (table_of(a=[5, 0, 4, 9]), "1 image (a.jpg) with a box that is inside out"),
        ],
        ids=["unknown", "twice", "inside out"],
    )
    def test_a_bad_table_leaves_nothing(
        self, tmp_path: Path, write: Callable[..., int], table: Any, message: str
    ) -> None:
        with pytest.raises(UserError, match=re.escape(message)):
            write(tmp_path / "out", CATALOG_3, table)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_with_something_in_it_is_left_as_it_is(self, tmp_path: Path, write: Callable[..., int]) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(UserError, match="found something there"):
            write(tmp_path, CATALOG_3, BOXES_3)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["a,b.jpg", "a\nb.jpg"], ids=["comma", "line break"])
def test_wsol_has_no_quotes(tmp_path: Path, name: str) -> None:
    catalog = catalog_of((name, 0, "cat", 10, 10))
    with pytest.raises(UserError, match=r"wsol: 1 image \(a[,\n]b\.jpg\) with a comma or line break"):
        write_wsol(tmp_path / "out", catalog, table_of(**{name.removesuffix(".jpg"): [0.0, 0.0, 1.0, 1.0]}))


def test_psol_cannot_name_a_file_after_a_class_with_a_slash(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"psol: 1 class names \(birds/owl, …\) hold a slash"):
        write_psol_json(tmp_path / "out", catalog_of(("a.jpg", 0, "birds/owl", 9, 9)), table_of(a=[0, 0, 1, 1]))
    assert list(tmp_path.iterdir()) == []
