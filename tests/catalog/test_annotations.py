import re
from pathlib import Path

import pyarrow as pa
import pytest

from psol_ray.catalog.annotations import Annotations, box_lists, read_boxes_csv, read_solution_csv
from psol_ray.errors import UserError

from .trees import GT_BOXES, solution_csv, write

A, B, C = (0.0, 1.0, 2.0, 3.0), (4.0, 4.0, 5.5, 5.0), (7.0, 7.0, 8.0, 9.0)


def contents(annotations: Annotations) -> list[tuple[str, str, tuple[float, ...]]]:
    corners = [tuple(box) for box in annotations.corners_M4.tolist()]
    return list(zip(annotations.image_keys, annotations.class_names, corners, strict=True))


def test_box_lists_distributes_in_order_and_leaves_other_images_out() -> None:
    annotations = Annotations()
    for key, box in (("two", B), ("other", A), ("one", C), ("two", A)):
        annotations.add(key, "", box)
    lists = box_lists(pa.array(["none", "two", "one"]), annotations)
    assert lists.type == GT_BOXES
    assert [[tuple(box) for box in boxes] for boxes in lists.to_pylist()] == [[], [B, A], [C]]


def test_box_lists_without_boxes() -> None:
    assert box_lists(pa.array(["a", "b"]), Annotations()).to_pylist() == [[], []]


def test_boxes_csv_in_any_column_order_with_extra_columns_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = '\ufeffy1, x0,x1,y0,image_id,note\n3,0,2,1,a.jpg,x\n\n5,4,5.5,4,"b, c.jpg",\n'
    path = tmp_path / "boxes.csv"
    path.write_text(text, encoding="utf-8")
    assert contents(read_boxes_csv(path)) == [("a.jpg", "", A), ("b, c.jpg", "", B)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a.jpg,0,1,2,x", "found 0, 1, 2, x, expected four finite numbers"),
        ("a.jpg,0,1,2,", "expected four finite numbers"),
        ("a.jpg,0,1,2,nan", "expected four finite numbers"),
        ("a.jpg,0,1,inf,3", "expected four finite numbers"),
        ("a.jpg,0,1,1e39,3", "expected four finite numbers"),  # finite, but not in float32
        ("a.jpg,0,1,2", "found 4 values, expected 5"),
        ("a.jpg,0,1,2,3,4", "found 6 values, expected 5"),
    ],
)
def test_a_bad_line_of_boxes_csv_is_named(tmp_path: Path, line: str, found: str) -> None:
    path = write(tmp_path / "boxes.csv", f"image_id,x0,y0,x1,y1\nok.jpg,0,1,2,3\n{line}\n")
    with pytest.raises(UserError, match=re.escape(f"{path}, line 3: ") + f".*{re.escape(found)}"):
        read_boxes_csv(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "line 1: found the columns (none), expected image_id, x0, y0, x1, y1; add image_id, x0, y0, x1, y1"),
        ("image_id,x0,y0,w,h\na.jpg,0,0,1,1\n", "line 1: found the columns image_id, x0, y0, w, h, expected"),
        ("image_id,x0,y0,w,h\n", "add x1, y1"),
        ("a.jpg,0,1,2,3\n", "it seems to begin with a box: add a first line image_id,x0,y0,x1,y1"),
    ],
)
def test_missing_columns_are_named(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(UserError, match=re.escape(found)):
        read_boxes_csv(write(tmp_path / "boxes.csv", text))


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("image_id,xmin,ymin,xmax,ymax", "name xmin, ymin, xmax, ymax so, in this order"),
        ("image_id,ymin,xmin,ymax,xmax", "name xmin, ymin, xmax, ymax so, in this order"),
        ("filename,X1,Y1,X2,Y2", "name X1, Y1, X2, Y2 so, in this order, add image_id"),
        (
            "image_id,x,y,width,height",
            "name x, y, width, height so, in this order, and say so with --data.coordinates pixels_xywh or fraction",
        ),
        (
            "image_id,cx,cy,w,h",
            "name cx, cy, w, h so, in this order, and say so with --data.coordinates pixels_cxcywh or fractions_cx",
        ),
    ],
)
def test_columns_of_other_names_are_recognised(tmp_path: Path, header: str, advice: str) -> None:
    path = write(tmp_path / "boxes.csv", f"{header}\n")
    with pytest.raises(
        UserError, match=f"line 1: found the columns {header.replace(',', ', ')}, expected .*; {advice}"
    ):
        read_boxes_csv(path)


def test_a_csv_of_another_encoding_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_bytes("image_id,x0,y0,x1,y1\nhöhle.jpg,0,1,2,3\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"boxes.csv: found .*expected CSV in UTF-8"):
        read_boxes_csv(path)


def test_solution_csv_repeats_objects(tmp_path: Path) -> None:
    text = solution_csv([("v1", "n01 0 1 2 3 n01 7 7 8 9"), ("v2", "n02 4 4 5.5 5")])
    found = read_solution_csv(write(tmp_path / "LOC_val_solution.csv", text))
    assert contents(found) == [("v1", "n01", A), ("v1", "n01", C), ("v2", "n02", B)]


def test_solution_csv_corners_are_taken_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "LOC_val_solution.csv", solution_csv([("v1", "n01 9 9 3 9")]))
    assert contents(read_solution_csv(path)) == [("v1", "n01", (9.0, 9.0, 3.0, 9.0))]


@pytest.mark.parametrize(
    ("objects", "found"),
    [
        ("", "found 0 words in PredictionString"),
        ("n01 1 2 3", "found 4 words in PredictionString"),
        ("n01 1 2 3 4 n01", "found 6 words in PredictionString"),
        ("n01 1 2 n01 4", "found 1, 2, n01, 4, expected four finite numbers"),
        ("n01 1 2 nan 4", "expected four finite numbers"),
    ],
)
def test_a_bad_line_of_solution_csv_is_named(tmp_path: Path, objects: str, found: str) -> None:
    path = write(tmp_path / "LOC_val_solution.csv", solution_csv([("v1", "n01 0 1 2 3"), ("v2", objects)]))
    with pytest.raises(UserError, match=rf"LOC_val_solution.csv, line 3: .*{found}"):
        read_solution_csv(path)
