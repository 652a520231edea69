"""Single boxes that cannot be right: refused, or of ImageNet's left out where they are few."""

import re

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.catalog.odd_boxes import check_each, flat_boxes, leave_out_odd, with_boxes
from psol_ray.errors import UserError
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.geometry.readings import Reading
from psol_ray.tables.schemas import CATALOG

from .trees import Box, boxes_of

GOOD: Box = (20, 10, 80, 60)
INSIDE_OUT: Box = (80, 10, 20, 60)
OUTSIDE: Box = (200, 10, 260, 60)
PIXELS = Reading.of("pixels")


def catalog_of(*boxes: Box, size: tuple[int, int] = (200, 100)) -> pa.Table:
    """An image a box."""
    row = {"label": 0, "class_name": "cat", "split": "test", "width": size[0], "height": size[1]}
    rows = [{**row, "image_id": f"{i}.jpg", "gt_boxes": [box]} for i, box in enumerate(boxes)]
    return pa.Table.from_pylist(rows, schema=CATALOG)


def check(catalog: pa.Table, coordinates: Coordinates = "pixels", *, area: bool = True) -> None:
    check_each(catalog, *flat_boxes(catalog), Reading.of(coordinates), "boxes.csv", area=area)


@pytest.mark.parametrize(
    ("box", "coordinates", "complaint"),
    [
        (
            INSIDE_OUT,
            "pixels",
            "found 1 boxes that are inside out (80, 10, 20, 60 of 1.jpg), expected an area, x0 < x1",
        ),
        ((20, 10, 20, 60), "pixels", "found 1 boxes that are inside out (20, 10, 20, 60 of 1.jpg), expected an area"),
        (
            OUTSIDE,
            "pixels",
            "found 1 boxes that lie outside their images (200, 10, 260, 60 of 1.jpg with 200 x 100), expected boxes of"
            " these very images; fix or remove them",
        ),
        ((-9, 10, 0, 60), "pixels", "found 1 boxes that lie outside their images"),
        ((20, -60, 40, -1), "pixels", "found 1 boxes that lie outside their images"),
        ((1, 0.1, 1.5, 0.4), "fractions", "found 1 boxes that lie outside their images (1, 0.1, 1.5, 0.4 of 1.jpg"),
        ((201, 10, 20, 60), "pixels_xywh", "found 1 boxes that lie outside their images (201, 10, 20, 60 of 1.jpg"),
    ],
)
def test_a_box_that_cannot_be_right_is_refused(box: Box, coordinates: Coordinates, complaint: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"boxes.csv: {complaint}")):
        check(catalog_of((0.2, 0.2, 0.4, 0.4), box), coordinates)


def test_what_reaches_outside_or_has_no_size_to_compare_with() -> None:
    check(catalog_of(GOOD, (-9, -9, 900, 900), (199, 99, 300, 300)))
    check(catalog_of(OUTSIDE, size=(0, 0)))


def test_a_box_of_one_pixel_where_the_last_one_is_named() -> None:
    catalog = catalog_of((0, 0, 0, 0), (199, 99, 199, 99))
    check(catalog, area=False)
    with pytest.raises(UserError, match=r"found 2 boxes that are inside out \(0, 0, 0, 0 of 0.jpg, 199, 99"):
        check(catalog)


def test_imagenets_few_are_left_out_and_told_of() -> None:
    catalog = catalog_of(*[GOOD] * 199, INSIDE_OUT, OUTSIDE)
    left, remark, are_many = leave_out_odd(catalog, PIXELS, area=False)
    assert boxes_of(left) == {f"{i}.jpg": [GOOD] for i in range(199)}
    assert left.drop_columns("gt_boxes").equals(catalog.drop_columns("gt_boxes"))
    assert remark == (
        "left out 2 of 201 boxes that are inside out or outside their images (80, 10, 20, 60 of 199.jpg with 200 x 100,"
        " 200, 10, 260, 60 of 200.jpg with 200 x 100)"
    )
    assert not are_many
    assert leave_out_odd(left, PIXELS, area=False) == (left, "", False)


@pytest.mark.parametrize("box", [INSIDE_OUT, OUTSIDE])
def test_more_than_a_few_of_imagenets_are_known_to_be(box: Box) -> None:
    left, _, are_many = leave_out_odd(catalog_of(*[GOOD] * 20, box), PIXELS, area=False)
    assert are_many
    assert boxes_of(left) == {f"{i}.jpg": [GOOD] for i in range(20)}


def test_boxes_are_put_back_in_their_images() -> None:
    catalog = catalog_of(GOOD, OUTSIDE, GOOD)
    row_M, boxes_M4 = flat_boxes(catalog)
    assert with_boxes(catalog, row_M, boxes_M4)["gt_boxes"].equals(catalog["gt_boxes"])
    again = with_boxes(catalog, np.array([0, 0, 2]), boxes_M4)
    assert boxes_of(again) == {"0.jpg": [GOOD, OUTSIDE], "2.jpg": [GOOD]}
