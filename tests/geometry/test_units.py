"""A table in the wrong unit or order is recognised as such, and one that is right is believed."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.geometry.units import check_units

Floats = NDArray[np.float64]


def objects(number: int = 60, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Boxes of objects near the middle, in pixels, and sizes of their images."""
    rng = np.random.default_rng(seed)
    sizes_N2 = rng.choice([[500, 375], [375, 500], [640, 480], [333, 500]], number)
    sides_N2 = rng.uniform(0.2, 0.9, (number, 2))
    starts_N2 = rng.uniform(0, 1 - sides_N2)
    return np.concatenate([starts_N2, starts_N2 + sides_N2], axis=1) * np.tile(sizes_N2, 2), sizes_N2


def as_fractions(boxes_N4: Floats, sizes_N2: NDArray[np.int64], side: float = 1) -> Floats:
    return np.asarray(boxes_N4 / np.tile(sizes_N2, 2) * side)


def ordered(boxes_N4: Floats, order: str) -> Floats:
    x0, y0, x1, y1 = boxes_N4.T
    width, height = x1 - x0, y1 - y0
    columns = {
        "xyxy": (x0, y0, x1, y1),
        "xywh": (x0, y0, width, height),
        "cxcywh": (x0 + width / 2, y0 + height / 2, width, height),
        "yxyx": (y0, x0, y1, x1),
        "xyhw": (x0, y0, height, width),
        "xxyy": (x0, x1, y0, y1),
        "far": (x1, y1, x0, y0),
    }
    return np.stack(columns[order], axis=1)


def complaint_about(
    numbers_N4: Floats, sizes_N2: NDArray[np.int64], coordinates: Coordinates = "pixels", *, said: bool = False
) -> str:
    try:
        check_units(numbers_N4, sizes_N2, coordinates, "boxes.csv", "data.coordinates", said=said)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("side", "order", "advice"),
    [
        (
            1,
            "xyxy",
            "they fit several readings: look at one box, and say --data.coordinates fractions if it is x0 y0 x1 y1 as"
            " fractions of the image, or fractions_yxyx if it is y0 x0 y1 x1",
        ),
        (1, "xywh", "say so with --data.coordinates fractions_xywh"),
        (1, "cxcywh", "say so with --data.coordinates fractions_cxcywh"),
        (
            1,
            "xxyy",
            "x0 x1 y0 y1 as fractions of the image: rewrite them as x0 y0 x1 y1, and add --data.coordinates fr",
        ),
        (
            1000,
            "xyxy",
            "say --data.coordinates thousandths if it is x0 y0 x1 y1 in thousandths of the image, or thousandths_yxyx",
        ),
        (None, "xywh", "say so with --data.coordinates pixels_xywh"),
        (None, "cxcywh", "say so with --data.coordinates pixels_cxcywh"),
        (None, "yxyx", "or width and height of the images are swapped: say so with --data.coordinates pixels_yxyx"),
        (None, "xyhw", "they look like x y height width in pixels: rewrite them as x0 y0 x1 y1"),
        (None, "xxyy", "they look like x0 x1 y0 y1 in pixels: rewrite them as x0 y0 x1 y1"),
        (None, "far", "they look like x1 y1 x0 y0 in pixels: rewrite them as x0 y0 x1 y1"),
    ],
)
def test_what_pixels_are_not(side: int | None, order: str, advice: str) -> None:
    boxes_N4, sizes_N2 = objects()
    found = complaint_about(
        ordered(boxes_N4 if side is None else as_fractions(boxes_N4, sizes_N2, side), order), sizes_N2
    )
    assert re.match(r"boxes.csv: found [\d,]+ of 60 boxes ", found)
    assert advice in found


def test_of_many_boxes_a_sample_is_asked_and_all_are_counted() -> None:
    boxes_N4, sizes_N2 = objects(21_000)
    found = complaint_about(ordered(boxes_N4, "yxyx"), sizes_N2)
    assert re.search(r"found 1\d,\d{3} of 21,000 boxes inside out or outside .*--data.coordinates pixels_yxyx", found)


def test_a_few_boxes_are_enough_where_all_are_wrong() -> None:
    boxes_N4, sizes_N2 = objects(3)
    assert "3 of 3 boxes smaller than a pixel" in complaint_about(as_fractions(boxes_N4, sizes_N2), sizes_N2)
    assert "3 of 3 boxes inside out or outside" in complaint_about(ordered(boxes_N4, "far"), sizes_N2)
    assert complaint_about(ordered(boxes_N4, "far")[:2], sizes_N2[:2]) == ""


@pytest.mark.parametrize("number", [1, 2])
def test_of_fractions_one_is_enough(number: int) -> None:
    boxes_N4, sizes_N2 = objects(number)
    found = complaint_about(as_fractions(boxes_N4, sizes_N2), sizes_N2)
    assert f"found {number} of {number} boxes smaller than a pixel" in found
    assert "--data.coordinates fractions if it is x0 y0 x1 y1" in found
    assert complaint_about(np.array([[0.0, 0.0, 1.0, 1.0]] * number), sizes_N2) == ""  # the corner pixel


def in_a_corner(number: int, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Boxes of objects a little left of and above the middle, in pixels, and sizes of their images."""
    rng = np.random.default_rng(seed)
    starts_N2 = rng.uniform(0.05, 0.3, (number, 2))
    ends_N2 = starts_N2 + rng.uniform(0.2, 0.5, (number, 2))
    sizes_N2 = np.tile([640, 480], (number, 1))
    return np.concatenate([starts_N2, ends_N2], axis=1) * np.tile(sizes_N2, 2), sizes_N2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("side", "order", "named"),
    [
        (1, "xyxy", {"fractions", "fractions_xywh"}),
        (1, "cxcywh", {"fractions_xywh", "fractions_cxcywh"}),
        (None, "cxcywh", {"pixels_xywh", "pixels_cxcywh"}),
        (100, "xyxy", {"percent"}),
        (1000, "xyxy", {"thousandths"}),
    ],
)
def test_objects_off_the_middle_do_not_make_the_order_another(
    side: int | None, order: str, named: set[str], seed: int
) -> None:
    boxes_N4, sizes_N2 = in_a_corner(24, seed)
    numbers_N4 = ordered(boxes_N4 if side is None else as_fractions(boxes_N4, sizes_N2, side), order)
    found = complaint_about(numbers_N4, sizes_N2)
    if order == "xyxy":  # what the header says goes first
        assert re.search(rf"--data.coordinates {min(named)}\b", found)
    assert all(re.search(rf"{name}\b", found) for name in named - ({"fractions_xywh"} if order == "xyxy" else set()))


def test_a_square_is_not_another_order_beside() -> None:
    boxes_N4, _ = in_a_corner(24)
    sizes_N2 = np.tile([200, 150], (24, 1))
    numbers_N4 = boxes_N4 / [640, 480, 640, 480] * 224
    assert "they look like x0 y0 x1 y1 in images resized to" in complaint_about(numbers_N4, sizes_N2)


def test_columns_that_hold_the_far_corner_first() -> None:
    boxes_N4, sizes_N2 = in_a_corner(24)
    found = complaint_about(ordered(boxes_N4, "far"), sizes_N2)
    assert "; every one ends before it begins: swap the corners if they are x1 y1 x0 y0; else they " in found
    assert "pixels_cxcywh" in found


def test_corner_and_size_may_pass_for_corners_of_boxes_in_the_corner() -> None:
    rng = np.random.default_rng(0)
    starts_N2 = rng.uniform(0.2, 0.3, (24, 2))
    sizes_N2 = np.tile([640, 480], (24, 1))
    boxes_N4 = np.concatenate([starts_N2, starts_N2 + rng.uniform(0.3, 0.4, (24, 2))], axis=1) * np.tile(sizes_N2, 2)
    found = complaint_about(ordered(boxes_N4, "xywh"), sizes_N2)
    assert re.search(
        r"found all of 24 boxes within \d+ pixels of the top left corner of larger images; they look like x y width"
        r" height in pixels: say so with --data.coordinates pixels_xywh, or --data.coordinates pixels if",
        found,
    )
    assert complaint_about(ordered(boxes_N4, "xywh"), sizes_N2, said=True) == ""


def test_a_few_boxes_in_percent_of_large_images() -> None:
    boxes_N4, sizes_N2 = objects(4)
    found = complaint_about(as_fractions(boxes_N4, sizes_N2, 100), sizes_N2)
    assert re.search(r"all of 4 boxes within \d+ pixels of the top left .*--data.coordinates percent\b", found)


@pytest.mark.parametrize(
    ("side", "order", "advice"),
    [
        (
            100,
            "xyxy",
            "in percent of the image: say so with --data.coordinates percent, or --data.coordinates pixels if",
        ),
        (100, "xywh", "in percent of the image: say so with --data.coordinates percent_xywh"),
        (224, "xyxy", "in images resized to 224 x 224 or so: divide them by the side that it was, and add"),
    ],
)
def test_a_small_unit_crowds_all_boxes_into_a_corner(side: int, order: str, advice: str) -> None:
    boxes_N4, sizes_N2 = objects()
    numbers_N4 = ordered(as_fractions(boxes_N4, sizes_N2, side), order)
    assert advice in complaint_about(numbers_N4, sizes_N2)
    # What is merely improbable is believed of a user who says so.
    assert order != "xyxy" or complaint_about(numbers_N4, sizes_N2, said=True) == ""


@pytest.mark.parametrize("number", [1, 3, 8, 60, 21_000])
@pytest.mark.parametrize("order", ["xyxy", "xywh", "cxcywh", "yxyx"])
@pytest.mark.parametrize("unit", ["pixels", "fractions"])
def test_what_is_said_rightly_is_believed(number: int, order: str, unit: str) -> None:
    for seed in range(1 if number > 60 else 40):
        boxes_N4, sizes_N2 = objects(number, seed)
        numbers_N4 = ordered(boxes_N4 if unit == "pixels" else as_fractions(boxes_N4, sizes_N2), order)
        coordinates: Coordinates = unit if order == "xyxy" else f"{unit}_{order}"  # type: ignore[assignment]
        assert complaint_about(numbers_N4, sizes_N2, coordinates) == ""
        assert complaint_about(numbers_N4, sizes_N2, coordinates, said=True) == ""


def test_a_wrong_word_is_refused_too() -> None:
    boxes_N4, sizes_N2 = objects()
    assert "say so with --data.coordinates pixels" in complaint_about(boxes_N4, sizes_N2, "fractions", said=True)
    assert "look like x y width height in pixels" in complaint_about(
        ordered(boxes_N4, "xywh"), sizes_N2, "pixels_cxcywh", said=True
    )


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda boxes_N4: boxes_N4 + 1, id="counted from 1"),
        pytest.param(lambda boxes_N4: np.floor(boxes_N4 - [0, 0, 1, 1]), id="last pixel named"),
        pytest.param(lambda boxes_N4: np.where(np.arange(60)[:, None] < 2, boxes_N4 * 9, boxes_N4), id="two outside"),
        pytest.param(
            lambda boxes_N4: np.where(np.arange(60)[:, None] < 2, boxes_N4[:, ::-1], boxes_N4), id="two inside out"
        ),
        pytest.param(lambda boxes_N4: np.where(np.arange(60)[:, None] < 8, [0, 0, 1, 1], boxes_N4), id="pixels"),
        pytest.param(lambda boxes_N4: np.where(np.arange(60)[:, None] < 9, np.nan, boxes_N4), id="not finite"),
    ],
)
def test_odd_boxes_among_others_are_not_the_tables_fault(spoil: Callable[[Floats], Floats]) -> None:
    boxes_N4, sizes_N2 = objects()
    assert complaint_about(spoil(boxes_N4), sizes_N2) == ""


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [0, 0, 1e-3, 1e-3], [9, 9, 9, 9], [0, 0, 333, 375]])
def test_a_network_may_say_what_it_likes(box: list[float]) -> None:
    _, sizes_N2 = objects()
    check_units(np.tile(np.array(box, float), (60, 1)), sizes_N2, "pixels", "predictions", None)


def test_boxes_of_other_images_fit_nothing() -> None:
    boxes_N4, sizes_N2 = objects()
    assert "; no other way to read them fits either: give boxes of these very images" in complaint_about(
        boxes_N4 * 4, sizes_N2
    )


def test_two_kinds_in_one_table() -> None:
    boxes_N4, sizes_N2 = objects()
    mixed_N4 = np.where(np.arange(60)[:, None] < 20, as_fractions(boxes_N4, sizes_N2), boxes_N4)
    assert "found 20 of 60 boxes smaller than a pixel" in complaint_about(mixed_N4, sizes_N2)
    assert "and the others do not: fix them" in complaint_about(mixed_N4, sizes_N2)


def test_corners_of_which_either_may_come_first() -> None:
    boxes_N4, sizes_N2 = objects()
    some_N4 = np.where(np.arange(60)[:, None] % 3 == 0, boxes_N4[:, [2, 1, 0, 3]], boxes_N4)
    assert "two corners of which either may come first in pixels: rewrite them as x0 y0" in complaint_about(
        some_N4, sizes_N2
    )


def test_images_without_a_size_say_nothing() -> None:
    boxes_N4, sizes_N2 = objects()
    assert complaint_about(as_fractions(boxes_N4, sizes_N2), np.zeros_like(sizes_N2)) == ""


def real_boxes(folder: Path) -> tuple[Floats, NDArray[np.int64]]:
    """Boxes of wsolevaluation's metadata, half-open, and sizes of their images."""
    lines = (line.rsplit(",", 2) for line in (folder / "image_sizes.txt").read_text().split("\n") if line)
    sizes = {name: (int(width), int(height)) for name, width, height in lines}
    rows = [line.rsplit(",", 4) for line in (folder / "localization.txt").read_text().split("\n") if line]
    boxes_N4 = np.array([row[1:] for row in rows], np.float64) + np.array([0, 0, 1, 1])
    return boxes_N4, np.array([sizes[row[0]] for row in rows])


@pytest.mark.parametrize("name", ["CUB/train", "ILSVRC/test"])
def test_real_boxes_are_told_from_themselves_in_another_form(shared: Path, name: str) -> None:
    boxes_N4, sizes_N2 = real_boxes(shared / "data/wsolevaluation_metadata" / name)
    assert complaint_about(boxes_N4, sizes_N2) == ""
    for start in range(0, 4000, 40):  # of one class, or two
        assert complaint_about(boxes_N4[start : start + 12], sizes_N2[start : start + 12]) == ""
    rows = np.random.default_rng(0).choice(len(boxes_N4), 1000, replace=False)
    boxes_N4, sizes_N2 = boxes_N4[rows], sizes_N2[rows]
    for order in ("xywh", "cxcywh", "yxyx"):
        assert re.search(rf"--data.coordinates pixels_{order}\b", complaint_about(ordered(boxes_N4, order), sizes_N2))
    for order in ("xywh", "cxcywh"):
        numbers_N4 = ordered(as_fractions(boxes_N4, sizes_N2), order)
        assert re.search(rf"--data.coordinates fractions_{order}\b", complaint_about(numbers_N4, sizes_N2))
    for side, word in ((1, "fractions"), (100, "percent"), (1000, "thousandths"), (224, "224 x 224")):
        assert word in complaint_about(as_fractions(boxes_N4, sizes_N2, side), sizes_N2)
