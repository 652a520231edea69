"""wsolevaluation's metadata: on boxes drawn by hand, and the official files made again."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.catalog.layouts import list_images
from psol_ray.errors import UserError
from psol_ray.formats import wsol
from psol_ray.formats.matching import read_boxes
from psol_ray.tables.schemas import boxes_array

from .synthetic import BOXES_3, CATALOG_3, catalog_of, contents, make_catalog, read_lines, table_of

WSOL_NAMES = ("image_ids", "class_labels", "image_sizes", "localization")


def test_files_are_in_the_order_of_the_catalog_and_inside_the_last_pixel(tmp_path: Path) -> None:
    assert wsol.write(tmp_path / "out", CATALOG_3, BOXES_3) == 1
    assert read_lines(tmp_path / "out/image_ids.txt") == ["b.jpg", "a.jpg"]
    assert read_lines(tmp_path / "out/class_labels.txt") == ["b.jpg,4", "a.jpg,2"]
    assert read_lines(tmp_path / "out/image_sizes.txt") == ["b.jpg,40,20", "a.jpg,100,50"]
    assert read_lines(tmp_path / "out/localization.txt") == ["b.jpg,0,0,39,19", "a.jpg,0,12,30,49"]


@pytest.mark.parametrize(
    ("x1", "written"), [(30.49, 30), (30.51, 31), (30.5, 30), (31.5, 32), (98.7, 99), (99.2, 99), (250, 99)]
)
def test_corners_are_rounded_to_the_nearest_pixel(tmp_path: Path, x1: float, written: int) -> None:
    wsol.write(tmp_path / "out", CATALOG_3, table_of(a=[0, 0, x1, 10]))
    assert read_lines(tmp_path / "out/localization.txt") == [f"a.jpg,0,0,{written},10"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_official_files_of_cub_are_made_again(shared: Path, tmp_path: Path, split: str) -> None:
    official = shared / "data/wsolevaluation_metadata/CUB" / split
    rows = {name: [line.split(",") for line in read_lines(official / f"{name}.txt")] for name in WSOL_NAMES}
    sizes = [(int(width), int(height)) for _, width, height in rows["image_sizes"]]
    labels = [(image_id, int(label)) for image_id, label in rows["class_labels"]]
    catalog = catalog_of(*((*label, "bird", *size) for label, size in zip(labels, sizes, strict=True)))
    boxes = np.array([[float(v) for v in row[1:]] for row in rows["localization"]], np.float32)
    columns = {name: boxes[:, i] for i, name in enumerate(("x0", "y0", "x1", "y1"))}
    table = pa.table({"image_id": [row[0] for row in rows["localization"]], **columns})
    assert wsol.write(tmp_path / "out", catalog, table.take(np.arange(len(table))[::-1].copy())) == 0
    for name in WSOL_NAMES:
        assert (tmp_path / f"out/{name}.txt").read_bytes() == (official / f"{name}.txt").read_bytes()


def test_cubs_own_boxes_are_rounded_as_in_the_official_files(shared: Path, tmp_path: Path) -> None:
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
    wsol.write(tmp_path / "out", catalog, pa.table({"image_id": list(xywh), **columns}))
    written = dict(line.split(",", 1) for line in read_lines(tmp_path / "out/localization.txt"))
    assert len(written) == 543
    assert written == {name: official["localization"][name] for name in xywh}


@pytest.mark.parametrize("name", ["a,b.jpg", "a\nb.jpg"], ids=["comma", "line break"])
def test_names_with_a_comma_or_line_break_are_refused(tmp_path: Path, name: str) -> None:
    catalog = catalog_of((name, 0, "cat", 10, 10))
    with pytest.raises(UserError, match=r"wsol: 1 image \(a[,\n]b\.jpg\) with a comma or line break"):
        wsol.write(tmp_path / "out", catalog, table_of(**{name.removesuffix(".jpg"): [0.0, 0.0, 1.0, 1.0]}))


def test_paths_may_begin_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "localization.txt").write_text("n01/b.jpg,0,1,9,8\nn02/c 1.jpg,0,0,0,0")
    found = read_boxes("wsol", str(tmp_path), make_catalog())
    assert boxes_array(found).tolist() == [[0, 1, 9, 8], [0, 0, 0, 0]]


@pytest.mark.parametrize("split", ["train", "test"])
def test_official_boxes_of_cub_go_in_and_out(shared: Path, tmp_path: Path, split: str) -> None:
    metadata = shared / "data/wsolevaluation_metadata/CUB"
    catalog = list_images("wsol", str(metadata))
    found = read_boxes("wsol", str(metadata / split), catalog)
    wsol.write(tmp_path / "out", catalog, found)
    assert contents(tmp_path / "out") == contents(metadata / split)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "boxes.imported.path: found no localization.txt in {folder}, expected one"),
        ("", "found no box, expected one for each of 4 images"),
        ("n01/a.jpg,1,2,3", "found 1 lines of another form"),
        ("n01/b.jpg,3,2,1,4", "1 image (test/n01/b.jpg) with a box that is inside out"),
        ("n01/b.jpg,1,2,3,4\n" * 2, "1 image (test/n01/b.jpg) with more than one box"),
        ("n01/b.jpg,1,2,300,4", "1 image (test/n01/b.jpg) with a box that reaches outs"),
        ("n01/b.jpg,1,2,3,4", "1 image (test/n02/c 1.jpg) of 2 test images without"),
        ("a.jpg,1,2,3,4", "1 image (a.jpg) that may be any of several"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, text: str | None, complaint: str) -> None:
    (tmp_path / "boxes.csv").write_text("image_id,x0,y0,x1,y1")
    if text is not None:
        (tmp_path / "localization.txt").write_text(text)
    with pytest.raises(UserError, match=re.escape(complaint.format(folder=tmp_path))) as refusal:
        read_boxes("wsol", str(tmp_path), make_catalog())
    assert "\n" not in str(refusal.value)
