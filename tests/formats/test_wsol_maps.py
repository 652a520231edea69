"""Boxes drawn as maps and found in maps, by hand and as wsolevaluation's own steps find them."""

import re
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.formats.matching import read_boxes
from psol_ray.formats.wsol_maps import box_of_map, read, write
from psol_ray.geometry.boxes import iou
from psol_ray.tables.schemas import CATALOG, PREDICTIONS, box_columns, boxes_array

from .synthetic import NAMES, catalog_of, make_catalog, table_of


def draw(*rows: str) -> NDArray[np.float64]:
    """A map of tenths, a digit a cell."""
    return np.array([[int(digit) / 10 for digit in row] for row in rows])


def as_wsolevaluation(map_hw: NDArray[np.floating], threshold: float) -> list[int]:
    """Its reading of a saved map: first and last cell, but one past the last where that is still inside."""
    grey = (map_hw.astype(float) * 255).astype(np.uint8)[..., None]
    _, binary = cv2.threshold(grey, int(threshold * grey.max()), 255, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
    return [x, y, min(x + width, map_hw.shape[1] - 1), min(y + height, map_hw.shape[0] - 1)]


def images_of(boxes_N4: NDArray[np.float64], width: int, height: int) -> tuple[pa.Table, pa.Table]:
    ids = [f"n01/{i}.jpg" for i in range(len(boxes_N4))]
    rows = [{"image_id": name, "width": width, "height": height, "gt_boxes": []} for name in ids]
    table = pa.table({"image_id": ids, **box_columns(boxes_N4)})
    nothing = pa.nulls(len(ids))
    labels = {name: nothing.cast(PREDICTIONS.field(name).type) for name in ("top_labels", "top_probs")}
    return pa.Table.from_pylist(rows, schema=CATALOG), pa.table({**{n: table[n] for n in table.column_names}, **labels})


@pytest.mark.parametrize(
    ("map_hw", "threshold", "cells"),
    [
        pytest.param(draw("0000", "0990", "0980", "0000"), 0.5, [1, 1, 3, 3], id="one"),
        pytest.param(draw("9900", "9900", "0009", "0099"), 0.5, [0, 0, 2, 2], id="the larger of two"),
        pytest.param(draw("9000", "0900", "0090", "0000"), 0.5, [0, 0, 3, 3], id="corners touch"),
        pytest.param(draw("5555", "5775", "5795", "5555"), 0.4, [1, 1, 3, 3], id="a share of the range"),
        pytest.param(draw("5555", "5775", "5795", "5555"), 0.6, [2, 2, 3, 3], id="a higher share"),
        pytest.param(-10 * draw("9999", "9009", "9999"), 0.5, [1, 1, 3, 2], id="not normalised"),
        pytest.param(draw("0000", "0000") + 1, 0.5, [0, 0, 4, 2], id="everything"),
        pytest.param(draw("0000", "0000"), 0.5, None, id="nothing"),
        pytest.param(draw("0000", "0990"), 1.0, None, id="nothing is above all of it"),
        pytest.param(np.array([[0, 200, 0]], np.uint8), 0.0, [1, 0, 2, 1], id="whole numbers"),
    ],
)
def test_the_box_of_a_map(map_hw: NDArray[np.generic], threshold: float, cells: list[int] | None) -> None:
    found = box_of_map(map_hw, threshold)
    if cells is None:
        assert found is None
    else:
        height, width = map_hw.shape
        assert found == pytest.approx(np.array(cells) / [width, height, width, height])


@pytest.mark.parametrize("threshold", [0.0, 0.15, 0.5, 0.99])
def test_boxes_of_normalised_maps_are_wsolevaluations(threshold: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        map_hw = cv2.resize(rng.random((7, 9)).astype(np.float32), (224, 224), interpolation=cv2.INTER_CUBIC)
        map_hw = (map_hw - map_hw.min()) / (map_hw.max() - map_hw.min())
        found = box_of_map(map_hw, threshold)
        assert found is not None
        assert np.minimum(np.rint(found * 224), 223).tolist() == as_wsolevaluation(map_hw, threshold)


def test_ordinary_boxes_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    width, height = 500, 375
    corner_N2 = rng.uniform(0, 0.4, (200, 2))
    boxes_N4 = np.concatenate([corner_N2, corner_N2 + rng.uniform(0.5, 0.6, (200, 2))], axis=1)
    boxes_N4 *= [width, height, width, height]
    catalog, table = images_of(boxes_N4, width, height)
    assert write(tmp_path / "out", catalog, table) == 0
    matched = read(tmp_path / "out", catalog, 0.5)
    assert matched.rows_M.tolist() == list(range(200))
    assert matched.foreground_M is not None
    assert matched.foreground_M.all()
    assert iou(matched.boxes_M4, boxes_N4).min() > 0.98
    for image_id, box in zip(table["image_id"].to_pylist(), boxes_N4, strict=True):
        map_hw = np.load(tmp_path / f"out/{image_id}.npy")
        assert (map_hw.shape, map_hw.dtype) == ((224, 224), np.float32)
        in_map = box / [width, height, width, height] * 224
        for threshold in (0.0, 0.5, 0.999):
            assert as_wsolevaluation(map_hw, threshold) == pytest.approx(in_map, abs=1)


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        ([0, 0, 1000, 500], [0, 0, 224, 224]),
        ([0.1, 0.1, 0.2, 0.2], [0, 0, 1, 1]),
        ([500, 250, 500, 250], [112, 112, 113, 113]),
        ([999.9, 499.9, 1000, 500], [223, 223, 224, 224]),
        ([-50, 125, 500, 900], [0, 56, 112, 224]),
    ],
    ids=["whole", "first cell", "without area", "last cell", "beyond the image"],
)
def test_boxes_at_the_edge(tmp_path: Path, box: list[float], cells: list[int]) -> None:
    catalog, table = images_of(np.array([box], float), 1000, 500)
    write(tmp_path / "out", catalog, table)
    matched = read(tmp_path / "out", catalog, 0.5)
    assert matched.boxes_M4 / [1000, 500, 1000, 500] * 224 == pytest.approx(np.array([cells]))
    assert matched.foreground_M is not None
    assert matched.foreground_M.all()


def test_a_map_is_found_in_whatever_unicode_form_it_is_stored(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "caf\u00e9.jpg") for form in ("NFC", "NFD"))
    np.save(tmp_path / f"{nfd}.npy", np.eye(4))
    assert read(tmp_path, catalog_of((nfc, 0, "cat", 40, 20)), 0.5).rows_M.tolist() == [0]


def test_maps_that_show_nothing_are_whole_images_and_absent_ones_none(tmp_path: Path) -> None:
    np.save(tmp_path / "b.jpg.npy", np.zeros((3, 4)))
    np.save(tmp_path / "other.jpg.npy", np.zeros((3, 4)))
    catalog = catalog_of(("a.jpg", 0, "cat", 40, 20), ("b.jpg", 0, "cat", 40, 20))
    matched = read(tmp_path, catalog, 0.5)
    assert (matched.rows_M.tolist(), matched.boxes_M4.tolist()) == ([1], [[0, 0, 40, 20]])
    assert matched.foreground_M is not None
    assert matched.foreground_M.tolist() == [False]
    with pytest.raises(
        UserError, match=re.escape("found no map, expected IMAGE_ID.npy for the catalog's images, such")
    ):
        read(tmp_path, catalog_of(("c.jpg", 0, "cat", 40, 20)), 0.5)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(np.zeros((1, 3, 4)), id="three dimensions"),
        pytest.param(np.zeros((0, 4)), id="empty"),
        pytest.param(np.array([[0, np.nan]]), id="nan"),
        pytest.param(np.array([[0, np.inf]]), id="infinite"),
        pytest.param(np.array([["a"]]), id="text"),
        pytest.param(np.array([[None]]), id="objects"),
        pytest.param(b"", id="no bytes"),
        pytest.param(b"\x93NUMPY\x01\x00", id="cut short"),
        pytest.param(b"\xff\xd8 photo", id="no array"),
    ],
)
def test_damaged_maps_are_counted_and_named(tmp_path: Path, content: NDArray | bytes) -> None:
    for name in ("a.jpg.npy", "c.jpg.npy"):
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            np.save(tmp_path / name, content)
    np.save(tmp_path / "b.jpg.npy", np.eye(3))
    with pytest.raises(UserError, match=r"2 images \(a.jpg, c.jpg\) with a map that is not an array of height x width"):
        read(tmp_path, catalog_of(*((f"{name}.jpg", 0, "cat", 40, 20) for name in "abc")), 0.5)


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


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "found no map, expected IMAGE_ID.npy for the catalog's images, such as train/n01/a.jpg.npy"),
        ({"test/n01/b.jpg.npy": "x"}, "1 image (test/n01/b.jpg) with a map that is not an array"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, files: dict[str, str], complaint: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=re.escape(complaint)) as refusal:
        read_boxes("wsol_maps", str(tmp_path), make_catalog())
    assert "\n" not in str(refusal.value)


def test_a_name_that_leaves_no_room_for_npy_is_refused(tmp_path: Path) -> None:
    long = "x" * 248
    catalog = catalog_of((f"a/{long}.jpg", 0, "cat", 9, 9))
    with pytest.raises(UserError, match=r"wsol_maps: 1 image .* named by more than 251 bytes, to which .npy cannot"):
        write(tmp_path / "out", catalog, table_of(**{f"a/{long}": [0.0, 0.0, 9.0, 9.0]}))
    assert list(tmp_path.iterdir()) == []
