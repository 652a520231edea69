"""Boxes that come with images, in whatever way they are given: converted where the user says it, refused where not."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.catalog.coordinates import boxes_in_pixels, settle_boxes
from psol_ray.catalog.layouts import list_images
from psol_ray.catalog.listing import LISTING, Listing, build_catalog
from psol_ray.catalog.settings import DataConfig
from psol_ray.errors import UserError
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.tables.schemas import CATALOG

from .trees import Box, boxes_of, solution_csv, touch, write

NUMBER, WIDTH, HEIGHT = 12, 200, 100
BOX: Box = (60, 30, 140, 80)
FRACTIONS: Box = (0.3, 0.3, 0.7, 0.8)
XYWH: Box = (60, 30, 80, 50)
CENTRE: Box = (100, 55, 80, 50)


def folder_of(root: Path, *boxes: Box) -> pa.Table:
    """A catalog of the folder layout, each box that of an image; the last image has no size and several boxes."""
    names = [f"train/cat/{i:02d}.jpg" for i in range(len(boxes))]
    touch(root, *names, "train/cat/x.jpg")
    lines = [",".join(map(str, [name, *box])) for name, box in zip(names, boxes, strict=True)]
    lines += [f"train/cat/x.jpg,{','.join(map(str, boxes[0]))}"] * 2
    write(root / "boxes.csv", "\n".join(["image_id,x0,y0,x1,y1", *lines]))
    sizes_N2 = np.array([[WIDTH, HEIGHT]] * len(boxes) + [[0, 0]])
    return build_catalog(list_images("folder", str(root)), sizes_N2)


def test_right_boxes_are_left_alone(tmp_path: Path) -> None:
    catalog = folder_of(tmp_path, *[BOX] * NUMBER)
    assert boxes_in_pixels(catalog, "folder", DataConfig(str(tmp_path))) is catalog


def test_a_catalog_without_boxes() -> None:
    catalog = CATALOG.empty_table()
    assert boxes_in_pixels(catalog, "folder", DataConfig("x", coordinates="fractions")) is catalog


@pytest.mark.parametrize(
    ("box", "coordinates"),
    [
        (FRACTIONS, "fractions"),
        ((0.5, 0.55, 0.4, 0.5), "fractions_cxcywh"),
        ((0.3, 0.3, 0.4, 0.5), "fractions_xywh"),
        (CENTRE, "pixels_cxcywh"),
        (XYWH, "pixels_xywh"),
        ((30, 60, 80, 140), "pixels_yxyx"),
        ((300, 300, 700, 800), "thousandths"),
        ((30, 30, 70, 80), "percent"),
    ],
)
def test_what_the_message_says_makes_the_right_boxes(tmp_path: Path, box: Box, coordinates: Coordinates) -> None:
    catalog = folder_of(tmp_path, *[box] * NUMBER)
    if coordinates not in ("pixels_xywh", "percent"):  # of 12 equal boxes, these may be corners in pixels
        with pytest.raises(
            UserError, match=rf"boxes.csv: found 12 of 12 boxes .*--data.coordinates .*\b{coordinates}\b"
        ):
            boxes_in_pixels(catalog, "folder", DataConfig(str(tmp_path)))
    found = boxes_in_pixels(catalog, "folder", DataConfig(str(tmp_path), coordinates=coordinates))
    assert found.schema.equals(CATALOG)
    boxes = boxes_of(found)
    in_pixels = coordinates.startswith("pixels")
    np.testing.assert_allclose(boxes.pop("train/cat/x.jpg"), [BOX if in_pixels else (0, 0, 0, 0)] * 2)
    np.testing.assert_allclose(list(boxes.values()), [[BOX]] * NUMBER, rtol=1e-6)


def test_single_boxes_that_are_none_are_named_with_their_numbers(tmp_path: Path) -> None:
    catalog = folder_of(tmp_path, *[BOX] * NUMBER, (4, 0, 0.5, 4), (1, 2, 1, 3))
    complaint = (
        "boxes.csv: found 2 boxes that are inside out (4, 0, 0.5, 4 of train/cat/12.jpg, 1, 2, 1, 3 of train/cat/13"
    )
    with pytest.raises(UserError, match=re.escape(complaint)):
        boxes_in_pixels(catalog, "folder", DataConfig(str(tmp_path)))


def test_boxes_a_little_outside_are_taken_as_they_are(tmp_path: Path) -> None:
    outside: Box = (-9, 0, 260, 120)
    catalog = folder_of(tmp_path, *[BOX] * NUMBER, outside)
    assert boxes_of(boxes_in_pixels(catalog, "folder", DataConfig(str(tmp_path))))["train/cat/12.jpg"] == [outside]


def cub_of(root: Path, box: Box) -> pa.Table:
    lines = {
        "images.txt": "cat/{}.jpg",
        "image_class_labels.txt": "1",
        "train_test_split.txt": "1",
        "bounding_boxes.txt": " ".join(map(str, box)),
    }
    for name, line in lines.items():
        write(root / name, "".join(f"{i} {line.format(i)}\n" for i in range(NUMBER)))
    write(root / "classes.txt", "1 cat\n")
    return build_catalog(list_images("cub", str(root)), np.array([[WIDTH, HEIGHT]] * NUMBER))


@pytest.mark.parametrize(
    ("box", "coordinates"),
    [
        (XYWH, None),
        (BOX, "pixels"),
        (FRACTIONS, "fractions"),
        ((0.5, 0.55, 0.4, 0.5), "fractions_cxcywh"),
    ],
)
def test_cub_has_another_order(tmp_path: Path, box: Box, coordinates: Coordinates | None) -> None:
    catalog = cub_of(tmp_path, box)
    if coordinates:
        with pytest.raises(UserError, match=rf"bounding_boxes.txt: found 12 .*--data.coordinates {coordinates}\b"):
            boxes_in_pixels(catalog, "cub", DataConfig(str(tmp_path), "cub"))
    found = boxes_in_pixels(catalog, "cub", DataConfig(str(tmp_path), "cub", coordinates=coordinates))
    np.testing.assert_allclose(list(boxes_of(found).values()), [[BOX]] * NUMBER, rtol=1e-6)


def wsol_of(root: Path, train: Box, test: Box, size: tuple[int, int] = (WIDTH, HEIGHT)) -> pa.Table:
    for split, box in (("train", train), ("test", test)):
        values: dict[str, tuple[Any, ...]] = {
            "image_ids": (),
            "class_labels": (0,),
            "image_sizes": size,
            "localization": box,
        }
        for name, numbers in values.items():
            lines = [",".join(map(str, [f"{split}/{i}.jpg", *numbers])) for i in range(NUMBER)]
            write(root / split / f"{name}.txt", "\n".join(lines))
    return list_images("wsol", str(root))


def test_wsol_has_files_of_each_split(tmp_path: Path) -> None:
    data = DataConfig("images", "wsol", str(tmp_path))
    right: Box = (40, 20, 179, 89)
    assert len(boxes_in_pixels(wsol_of(tmp_path, right, right), "wsol", data)) == 2 * NUMBER
    with pytest.raises(UserError, match=r"test/localization.txt: found 12 of 12 boxes .*coordinates pixels_yxyx"):
        boxes_in_pixels(wsol_of(tmp_path, right, (20, 40, 89, 179)), "wsol", data)
    with pytest.raises(UserError, match=r"train/localization.txt: .*or width and height of the images are swapped"):
        boxes_in_pixels(wsol_of(tmp_path, right, right, (HEIGHT, WIDTH)), "wsol", data)


def test_a_box_of_wsol_that_is_inside_out(tmp_path: Path) -> None:
    catalog = wsol_of(tmp_path, (100, 50, 100, 50), (40, 20, 180, 90))
    data = DataConfig(str(tmp_path), "wsol")
    assert boxes_in_pixels(catalog, "wsol", data) is catalog
    write(
        tmp_path / "test/localization.txt", (tmp_path / "test/localization.txt").read_text().replace("40,", "190,", 1)
    )
    complaint = (
        r"test/localization.txt: found 1 boxes that are inside out \(190, 20, 180, 90 of test/0.jpg\), expected x0 <="
    )
    with pytest.raises(UserError, match=complaint):
        boxes_in_pixels(list_images("wsol", str(tmp_path)), "wsol", data)


def imagenet_of(root: Path, box: Box) -> pa.Table:
    names = [f"n01_{i:02d}" for i in range(NUMBER)]
    touch(root, *(f"train/n01/{name}.JPEG" for name in names))
    rows = [(name, f"n01 {' '.join(map(str, box))}") for name in names]
    write(root / "LOC_train_solution.csv", solution_csv([*rows[:-1], (names[-1], "n01 9 9 3 9")]))
    return build_catalog(list_images("imagenet", str(root)), np.array([[WIDTH, HEIGHT]] * NUMBER))


def test_of_imagenets_boxes_the_table_is_checked_and_few_odd_ones_are_left_out(tmp_path: Path) -> None:
    data = DataConfig(str(tmp_path), "imagenet")
    catalog = imagenet_of(tmp_path, BOX)
    assert boxes_in_pixels(catalog, "imagenet", data) is catalog
    listing = Listing(catalog.select(LISTING.names))
    _, said, (gap,) = settle_boxes(catalog, listing, "imagenet", data)
    assert not said.remarks
    assert gap.startswith(
        "catalog: left out 1 of 12 boxes that are inside out or outside their images (9, 9, 3, 9 of tr"
    )
    assert gap.endswith("); mend the annotations, and run `psol index --overwrite`")
    many = pa.concat_tables([*[catalog.slice(0, NUMBER - 1)] * 10, catalog])
    settled, said, gaps = settle_boxes(many, listing, "imagenet", data)
    assert not gaps
    assert settled["gt_boxes"].to_pylist() == [[list(BOX)]] * 11 * (NUMBER - 1) + [[]]
    (remark,) = said.remarks
    assert remark.startswith("left out 1 of 122 boxes that are inside out or outside their images (9, 9, 3, 9 of train")
    with pytest.raises(
        UserError, match=r"annotations of train images: found 12 of 12 boxes .*coordinates pixels_cxcywh"
    ):
        settle_boxes(imagenet_of(tmp_path, CENTRE), listing, "imagenet", data)


def test_a_layout_of_ones_own_is_in_pixels(tmp_path: Path) -> None:
    catalog = folder_of(tmp_path, *[FRACTIONS] * NUMBER)
    with pytest.raises(UserError, match="12 of 12 boxes smaller than a pixel"):
        boxes_in_pixels(catalog, "flat", DataConfig(str(tmp_path)))
