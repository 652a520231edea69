"""Contours of maps drawn by hand."""

import numpy as np
import pytest

from psol_ray.heatmaps.contours import contour_boxes, grey_levels


def test_of_several_objects_the_largest_is_told() -> None:
    map_hw = np.zeros((20, 30))
    map_hw[2:5, 3:7] = 1
    map_hw[10:18, 12:28] = 0.8
    found = contour_boxes(grey_levels(map_hw), 0.5)
    assert sorted(found.boxes_B4.tolist()) == [[3, 2, 7, 5], [12, 10, 28, 18]]
    assert found.boxes_B4[found.largest].tolist() == [12, 10, 28, 18]
    # Above 80 % of the range only the smaller one is left.
    assert contour_boxes(grey_levels(map_hw), 0.9).boxes_B4.tolist() == [[3, 2, 7, 5]]


@pytest.mark.parametrize(("value", "level"), [(0.7, 255), (0.0, 0), (-3.0, 0)])
def test_a_map_of_one_value_is_all_object_or_none(value: float, level: int) -> None:
    levels_hw = grey_levels(np.full((4, 6), value))
    assert (levels_hw == level).all()
    assert contour_boxes(levels_hw, 0.5).boxes_B4.tolist() == ([[0, 0, 6, 4]] if level else [])


def test_levels_are_rounded_down_and_the_highest_is_255() -> None:
    assert grey_levels(np.array([[-1.0, 0.0, 0.999, 1.0]])).tolist() == [[0, 127, 254, 255]]


def test_nothing_is_above_the_whole_range() -> None:
    assert contour_boxes(grey_levels(np.eye(5)), 1.0).boxes_B4.shape == (0, 4)
