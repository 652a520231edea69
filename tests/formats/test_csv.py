"""`boxes.csv`: digit for digit, and in what spreadsheets make of it."""

import csv as stdlib_csv
import re
from pathlib import Path

import numpy as np
import pytest

from psol_ray.errors import UserError
from psol_ray.formats import csv
from psol_ray.formats.matching import read_boxes
from psol_ray.tables.schemas import BOXES, boxes_array

from .synthetic import CATALOG_3, NAN_BOX, catalog_of, make_catalog, read_lines, table_of

HEADER = "image_id,x0,y0,x1,y1\n"


def test_a_file_gives_the_same_floats_again(tmp_path: Path) -> None:
    box = [float(v) for v in np.array([0.1, 1 / 3, 33.3, 47.000004], np.float32)]
    table = table_of(BOXES, a=box, b=[0, 0, 40, 20], c=NAN_BOX)
    assert csv.write(tmp_path / "out", CATALOG_3, table) == 1
    lines = read_lines(tmp_path / "out/boxes.csv")
    assert lines == [
        "image_id,x0,y0,x1,y1",
        "b.jpg,0.0,0.0,40.0,20.0",
        "a.jpg,0.1,0.33333334,33.3,47.000004",
        "",
    ]
    with (tmp_path / "out/boxes.csv").open(newline="") as file:
        (_, row) = stdlib_csv.DictReader(file)
    assert [float(np.float32(row[name])) for name in ("x0", "y0", "x1", "y1")] == box


def test_names_are_quoted_where_they_must_be(tmp_path: Path) -> None:
    catalog = catalog_of(('a "b", c.jpg', 0, "cat", 10, 10))
    table = table_of(**{'a "b", c': [0.0, 0.0, 1.0, 1.0]})
    csv.write(tmp_path / "out", catalog, table)
    with (tmp_path / "out/boxes.csv").open(newline="") as file:
        assert [row["image_id"] for row in stdlib_csv.DictReader(file)] == ['a "b", c.jpg']


def test_names_with_quotes_commas_and_line_breaks_come_in_again(tmp_path: Path) -> None:
    names = ['a "b", c', "d\ne", "007", " f ", "NA", "é"]
    catalog = catalog_of(*((f"{name}.jpg", 0, "cat", 10, 10) for name in names))
    csv.write(tmp_path / "out", catalog, table_of(**{name: [0.0, 1.0, float(i), 2.0] for i, name in enumerate(names)}))
    table = read_boxes("csv", str(tmp_path / "out"), catalog)
    assert table["image_id"].to_pylist() == [f"{name}.jpg" for name in names]
    assert boxes_array(table)[:, 2].tolist() == list(range(len(names)))


def test_columns_may_be_more_and_in_any_order_as_a_spreadsheet_saves_them(tmp_path: Path) -> None:
    text = "\ufeffnote, y1,x1,y0,x0,image_id\r\n,4,3,2,1e0,a.jpg\r\n\r\nx, 8,7,6, 5,b.jpg\r\n"
    (tmp_path / "boxes.csv").write_text(text, encoding="utf-8", newline="")
    catalog = catalog_of(("b.jpg", 0, "cat", 9, 9), ("a.jpg", 0, "cat", 9, 9))
    assert boxes_array(read_boxes("csv", str(tmp_path), catalog)).tolist() == [[5, 6, 7, 8], [1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "boxes.imported.path: found no boxes.csv in {folder}, expected one"),
        ("", "line 1: found the columns (none), expected image_id, x0, y0, x1, y1; add image_id, x0, y0, x1, y1"),
        (
            "image_id,x0,y0,x1",
            "line 1: found the columns image_id, x0, y0, x1, expected image_id, x0, y0, x1, y1; add y1",
        ),
        ("image_id,x0,y0,x1,y1, x0\n", "line 1: found x0 more than once, expected each column once"),
        ("x" * 200_000 + "\n", "boxes.csv: found field larger than field limit (131072), expected 4 numbers after"),
        (HEADER, "found no box, expected one for each of 4 images"),
        (HEADER.strip(), "found no box, expected one for each of 4 images"),
        (HEADER + "n01/a.jpg,0,0,1,1", "boxes.csv: 1 image (n01/a.jpg) not in the catalog"),
        (HEADER + "train/n01/a.jpg,0,0,1,1\n" * 2, "1 image (train/n01/a.jpg) with more than one"),
        (HEADER + "train/n01/a.jpg,0,0,1,1", "1 image (train/n02/a.jpg) of 2 train images with"),
        (
            HEADER + "train/n01/a.jpg,0,0,nan,1",
            "1 image (train/n01/a.jpg) with a box that is not finite; expected four",
        ),
        (
            HEADER + "train/n01/a.jpg,0,0,inf,1",
            "1 image (train/n01/a.jpg) with a box that is not finite; expected four",
        ),
        (HEADER + "train/n01/a.jpg,0,0,,1", "1 image (train/n01/a.jpg) with a box that is not finite; expected four"),
        (HEADER + "train/n01/a.jpg,5,0,4,9", "a.jpg) with a box that is inside out; expected x0 <= x1 and y0 <= y1"),
        (HEADER + "train/n01/a.jpg,0,0,502,1", "1 image (train/n01/a.jpg) with a box that reaches"),
        (HEADER + "train/n01/a.jpg,0,0,x,1", "column #3: Row #2: CSV conversion error to double: invalid value 'x'"),
        (
            HEADER + "train/n01/a.jpg,0,0,1",
            "Row #2: Expected 5 columns, got 4: train/n01/a.jpg,0,0,1, expected 4 numbers",
        ),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, text: str | None, complaint: str) -> None:
    (tmp_path / "localization.txt").write_text("")
    if text is not None:
        (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(UserError, match=re.escape(complaint.format(folder=tmp_path))) as refusal:
        read_boxes("csv", str(tmp_path), make_catalog())
    assert "\n" not in str(refusal.value)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    for name, content in {"header": b"image_id\xff,x0,y0,x1,y1\n", "row": HEADER.encode() + b"a\xff,0,0,1,1\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "boxes.csv").write_bytes(content)
        with pytest.raises(UserError, match=r"boxes.csv: found .*, in UTF-8; fix it"):
            read_boxes("csv", str(tmp_path / name), make_catalog())
