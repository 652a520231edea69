"""Four numbers become a box in pixels."""

from typing import get_args

import numpy as np
import pytest

from psol_ray.geometry.coordinates import Coordinates
from psol_ray.geometry.readings import ORDERS, Reading, to_pixels

SIZES = np.array([[200, 100]])
BOX = [20, 30, 120, 50]

GIVEN: dict[Coordinates, list[float]] = {
    "pixels": [20, 30, 120, 50],
    "pixels_xywh": [20, 30, 100, 20],
    "pixels_cxcywh": [70, 40, 100, 20],
    "pixels_yxyx": [30, 20, 50, 120],
    "fractions": [0.1, 0.3, 0.6, 0.5],
    "fractions_xywh": [0.1, 0.3, 0.5, 0.2],
    "fractions_cxcywh": [0.35, 0.4, 0.5, 0.2],
    "fractions_yxyx": [0.3, 0.1, 0.5, 0.6],
    "percent": [10, 30, 60, 50],
    "percent_xywh": [10, 30, 50, 20],
    "thousandths": [100, 300, 600, 500],
    "thousandths_yxyx": [300, 100, 500, 600],
}


def test_every_name_is_tried() -> None:
    assert set(GIVEN) == set(get_args(Coordinates))


@pytest.mark.parametrize("coordinates", GIVEN)
def test_the_same_box_in_every_way(coordinates: Coordinates) -> None:
    np.testing.assert_allclose(to_pixels(np.array([GIVEN[coordinates]]), SIZES, coordinates), [BOX], rtol=1e-12)
    assert Reading.of(coordinates).name == coordinates


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        ("xyhw", [20, 30, 20, 100]),
        ("yxhw", [30, 20, 20, 100]),
        ("xxyy", [20, 120, 30, 50]),
        ("far", [120, 50, 20, 30]),
        ("any", [120, 30, 20, 50]),
    ],
)
def test_orders_that_are_recognised_and_have_no_name(order: str, numbers: list[float]) -> None:
    reading = Reading(order, None)
    assert reading.corners(np.array([numbers], float)).tolist() == [BOX]
    assert reading.name is None
    assert order in ORDERS


def test_shares_of_an_image_without_a_size_are_nothing() -> None:
    assert to_pixels(np.array([[0.1, 0.2, 0.3, 0.4]]), np.zeros((1, 2), int), "fractions").tolist() == [[0] * 4]
    assert to_pixels(np.array([[1.0, 2, 3, 4]]), np.zeros((1, 2), int), "pixels").tolist() == [[1, 2, 3, 4]]
