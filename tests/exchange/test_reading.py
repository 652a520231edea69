"""Formats read back: what was exported comes in again, and what does not fit is told in one sentence."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.catalog import list_images
from psol_ray.errors import UserError
from psol_ray.exchange import FORMATS, READERS, read_boxes
from psol_ray.geometry.boxes import iou
from psol_ray.tables.schemas import BOXES, CATALOG, boxes_array

NAMES = ["train/n01/a.jpg", "train/n02/a.jpg", "test/n01/b.jpg", "test/n02/c 1.jpg"]
SIZES = [(500, 375), (333, 500), (224, 224), (77, 1000)]
SHARES = [(0.125, 0.25, 0.875, 1), (0.3, 0.1, 0.9, 0.7), (0, 0, 1, 1), (1 / 3, 1 / 7, 1, 0.8)]


def make_catalog() -> pa.Table:
    rows = [
        {
            "image_id": name,
            "label": int(name.split("/")[1][1:]) - 1,
            "class_name": name.split("/")[1],
            "split": name.split("/")[0],
            "width": width,
            "height": height,
            "gt_boxes": [],
        }
        for name, (width, height) in zip(NAMES, SIZES, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=CATALOG)


def make_boxes(catalog: pa.Table) -> pa.Table:
    corners = np.array(
        [[x0 * w, y0 * h, x1 * w, y1 * h] for (x0, y0, x1, y1), (w, h) in zip(SHARES, SIZES, strict=True)]
    )
    rows = [
        {
            **{name: row[name] for name in ("image_id", "label", "width", "height")},
            **dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)),
            "status": "ok",
        }
        for row, box in zip(catalog.to_pylist(), corners.astype(np.float32).tolist(), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=BOXES)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_format_that_is_written_is_read() -> None:
    assert FORMATS.keys() == READERS.keys()


@pytest.mark.parametrize(("name", "exact"), [("csv", True), ("psol", True), ("wsol", False), ("wsol_maps", False)])
def test_what_was_exported_comes_in_again(tmp_path: Path, name: str, exact: bool) -> None:
    catalog = make_catalog()
    boxes = make_boxes(catalog)
    assert FORMATS[name](tmp_path / "out", catalog, boxes) == 0
    found = read_boxes(name, str(tmp_path / "out"), catalog)
    assert found["image_id"].to_pylist() == NAMES
    assert found["status"].to_pylist() == ["ok"] * 4
    assert iou(boxes_array(found), boxes_array(boxes)).min() > (1 - 1e-9 if exact else 0.95)
    FORMATS[name](tmp_path / "again", catalog, found)
    assert contents(tmp_path / "again") == contents(tmp_path / "out")


@pytest.mark.parametrize("name", ["csv", "psol", "wsol", "wsol_maps"])
def test_one_split_alone(tmp_path: Path, name: str) -> None:
    catalog = make_catalog()
    FORMATS[name](tmp_path / "out", catalog, make_boxes(catalog).slice(0, 2))
    assert read_boxes(name, str(tmp_path / "out"), catalog)["image_id"].to_pylist() == NAMES[:2]


def test_the_authors_paths_are_absolute(tmp_path: Path) -> None:
    for name in ("n01", "n02"):
        boxes = {f"/mnt/ramdisk/ImageNet/train/{name}/a.jpg": [0.25, 0.5, 0.5, 0.5]}
        (tmp_path / f"{name}_bbox.json").write_text(json.dumps(boxes))
        (tmp_path / f"{name}_trans.json").write_text("{}")
    found = read_boxes("psol", str(tmp_path), make_catalog())
    assert boxes_array(found).tolist() == [[125, 187.5, 375, 375], [83.25, 250, 249.75, 500]]


def test_wsol_paths_may_begin_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "localization.txt").write_text("n01/b.jpg,0,1,9,8\nn02/c 1.jpg,0,0,0,0")
    found = read_boxes("wsol", str(tmp_path), make_catalog())
    assert boxes_array(found).tolist() == [[0, 1, 9, 8], [0, 0, 0, 0]]


@pytest.mark.parametrize("split", ["train", "test"])
def test_official_cub_boxes_in_and_out(shared: Path, tmp_path: Path, split: str) -> None:
    metadata = shared / "data/wsolevaluation_metadata/CUB"
    catalog = list_images("wsol", str(metadata))
    found = read_boxes("wsol", str(metadata / split), catalog)
    FORMATS["wsol"](tmp_path / "out", catalog, found)
    assert contents(tmp_path / "out") == contents(metadata / split)


def write_files(folder: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


BOX = [0.1, 0.1, 0.5, 0.5]
HEADER = "image_id,x0,y0,x1,y1\n"


@pytest.mark.parametrize(
    ("name", "files", "complaint"),
    [
        ("csv", {}, "source.path: found no boxes.csv in {folder}, expected one"),
        ("csv", {"boxes.csv": HEADER}, "found no box, expected one for each of 4 images"),
        ("csv", {"boxes.csv": HEADER + "n01/a.jpg,0,0,1,1"}, "boxes.csv: 1 image (n01/a.jpg) not in the catalog"),
        (
            "csv",
            {"boxes.csv": HEADER + "train/n01/a.jpg,0,0,1,1\n" * 2},
            "1 image (train/n01/a.jpg) with more than one",
        ),
        ("csv", {"boxes.csv": HEADER + "train/n01/a.jpg,0,0,1,1"}, "1 image (train/n02/a.jpg) of 2 train images with"),
        ("csv", {"boxes.csv": HEADER + "train/n01/a.jpg,0,0,nan,1"}, "expected four finite numbers"),
        ("csv", {"boxes.csv": HEADER + "train/n01/a.jpg,5,0,4,9"}, "expected x0 < x1 and y0 < y1"),
        (
            "csv",
            {"boxes.csv": HEADER + "train/n01/a.jpg,0,0,501,1"},
            "1 image (train/n01/a.jpg) with a box that reaches",
        ),
        ("wsol", {"boxes.csv": HEADER}, "source.path: found no localization.txt in {folder}, expected one"),
        ("wsol", {"localization.txt": ""}, "found no box, expected one for each of 4 images"),
        ("wsol", {"localization.txt": "n01/a.jpg,1,2,3"}, "found 1 lines of another form"),
        ("wsol", {"localization.txt": "n01/a.jpg,3,2,1,4"}, "found 1 boxes that are inside out (n01/a.jpg)"),
        ("wsol", {"localization.txt": "n01/b.jpg,1,2,3,4\n" * 2}, "1 image (test/n01/b.jpg) with more than one box"),
        ("wsol", {"localization.txt": "n01/b.jpg,1,2,300,4"}, "1 image (test/n01/b.jpg) with a box that reaches outs"),
        ("wsol", {"localization.txt": "n01/b.jpg,1,2,3,4"}, "1 image (test/n02/c 1.jpg) of 2 test images without"),
        ("wsol", {"localization.txt": "a.jpg,1,2,3,4"}, "1 image (a.jpg) that may be any of several"),
        ("psol", {"n01.json": {}}, "{folder}: found no file *_bbox.json, expected one a class"),
        ("psol", {"n01_bbox.json": {}}, "found no box, expected one for each of 4 images"),
        ("psol", {"n01_bbox.json": '{"a": '}, "n01_bbox.json: found Expecting value"),
        ("psol", {"n01_bbox.json": [BOX]}, "n01_bbox.json: found no mapping, expected one from image"),
        ("psol", {"n01_bbox.json": {"n01/a.jpg": BOX[:3], "x": "y"}}, "2 images (n01/a.jpg, x) without a box of four"),
        ("psol", {"n01_bbox.json": {"n01/a.jpg": [*BOX[:3], True]}}, "1 image (n01/a.jpg) without a box of four"),
        ("psol", {"n01_bbox.json": {"n01/b.jpg": {"x": 1}}}, "1 image (n01/b.jpg) without a box of four"),
        ("psol", {"n01_bbox.json": {"/x/n03/a.jpg": BOX}}, "1 image (/x/n03/a.jpg) not in the catalog"),
        ("psol", {"n01_bbox.json": {"a.jpg": BOX}}, "1 image (a.jpg) that may be any of several in the catalog"),
        ("psol", {"n01_bbox.json": '{"n01/b.jpg": [0, 0, 1, 1], "n01/b.jpg": [0, 0, 1, 1]}'}, "with more than one box"),
        ("psol", {f"{n}_bbox.json": {"n01/b.jpg": BOX} for n in "ab"}, "1 image (test/n01/b.jpg) with more than one"),
        (
            "psol",
            {"n01_bbox.json": '{"n01/b.jpg": [0, 0, NaN, 1]}'},
            "1 image (test/n01/b.jpg) with a box that is not f",
        ),
        (
            "psol",
            {"n01_bbox.json": {"n01/b.jpg": [0, 0, -0.5, 1]}},
            "1 image (test/n01/b.jpg) with a box that is insid",
        ),
        ("psol", {"n01_bbox.json": {"n01/b.jpg": [0.5, 0, 0.6, 1]}}, "1 image (test/n01/b.jpg) with a box that reache"),
        ("psol", {"n01_bbox.json": {"n01/b.jpg": BOX}}, "1 image (test/n02/c 1.jpg) of 2 test images without a box"),
        ("wsol_maps", {}, "found no map, expected IMAGE_ID.npy for the catalog's images, such as train/n01/a.jpg.npy"),
        ("wsol_maps", {"test/n01/b.jpg.npy": "x"}, "1 image (test/n01/b.jpg) with a map that is no array"),
    ],
)
def test_refusals(tmp_path: Path, name: str, files: dict[str, object], complaint: str) -> None:
    write_files(tmp_path, files)
    with pytest.raises(UserError, match=re.escape(complaint.format(folder=tmp_path))) as refusal:
        read_boxes(name, str(tmp_path), make_catalog())
    assert "\n" not in str(refusal.value)


def test_a_split_with_some_maps_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test/n01").mkdir(parents=True)
    np.save(tmp_path / "test/n01/b.jpg.npy", np.eye(4))
    with pytest.raises(UserError, match=r"1 image \(test/n02/c 1.jpg\) of 2 test images without a box"):
        read_boxes("wsol_maps", str(tmp_path), make_catalog())


@pytest.mark.parametrize("threshold", [0.2, 0.6])
def test_the_threshold_of_maps_is_a_share_of_their_range(tmp_path: Path, threshold: float) -> None:
    (tmp_path / "test/n01").mkdir(parents=True)
    (tmp_path / "test/n02").mkdir(parents=True)
    map_hw = np.array([[0, 4, 8, 4], [0, 4, 8, 8]], float)
    for name in NAMES[2:]:
        np.save(tmp_path / f"{name}.npy", map_hw)
    found = boxes_array(read_boxes("wsol_maps", str(tmp_path), make_catalog(), threshold))
    assert found[0].tolist() == [56 if threshold == 0.2 else 112, 0, 224, 224]
    assert found[1] == pytest.approx([77 * (0.25 if threshold == 0.2 else 0.5), 0, 77, 1000])


@pytest.mark.parametrize("make_path", [lambda folder: f"{folder}/gone", lambda _: "s3://bucket/boxes"])
def test_refuses_what_is_no_folder(tmp_path: Path, make_path: Callable[[Path], str]) -> None:
    with pytest.raises(UserError, match=r"source.path: found no folder '.*' on this machine"):
        read_boxes("csv", make_path(tmp_path), make_catalog())
