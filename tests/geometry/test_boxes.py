"""Box arithmetic on boxes drawn by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from psol_ray.geometry.boxes import area, fractions_to_xyxy, iou, scale, xyxy_to_fractions

NAN_BOX = [math.nan] * 4


def array(*boxes: list[float]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param([1, 2, 4, 6], 12, id="plain"),
        pytest.param([1, 2, 1, 6], 0, id="no width"),
        pytest.param([4, 2, 1, 6], 0, id="inside out along x"),
        pytest.param([4, 6, 1, 2], 0, id="inside out along both is no area, not a positive one"),
        pytest.param([-1, -1, 1, 1], 4, id="over the border"),
        pytest.param([0.25, 0, 0.75, 0.5], 0.25, id="continuous"),
        pytest.param(NAN_BOX, math.nan, id="NaN"),
    ],
)
def test_area(box: list[float], expected: float) -> None:
    np.testing.assert_array_equal(area(array(box)), [expected])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param([0, 0, 4, 4], [0, 0, 4, 4], 1, id="same"),
        pytest.param([0, 0, 4, 4], [2, 2, 6, 6], 4 / 28, id="overlap"),
        pytest.param([0, 0, 4, 4], [4, 0, 8, 4], 0, id="touching"),
        pytest.param([0, 0, 4, 4], [5, 5, 8, 8], 0, id="apart along both"),
        pytest.param([0, 0, 10, 10], [0, 0, 10, 5], 0.5, id="exactly a half"),
        pytest.param([0, 0, 10, 10], [2, 2, 4, 4], 0.04, id="inside"),
        pytest.param([-5, 0, 5, 10], [0, 0, 10, 10], 50 / 150, id="over the border"),
        pytest.param([3, 3, 3, 3], [3, 3, 3, 3], 0, id="two points"),
        pytest.param([3, 3, 3, 3], [0, 0, 9, 9], 0, id="a point inside"),
        pytest.param([6, 6, 2, 2], [0, 0, 9, 9], 0, id="inside out"),
        pytest.param(NAN_BOX, [0, 0, 9, 9], 0, id="NaN"),
    ],
)
def test_iou(a: list[float], b: list[float], expected: float) -> None:
    np.testing.assert_allclose(iou(array(a), array(b)), [expected], rtol=1e-15)
    np.testing.assert_allclose(iou(array(b), array(a)), [expected], rtol=1e-15)


def test_iou_of_all_with_all_by_broadcasting() -> None:
    a, b = array([0, 0, 2, 2], [0, 0, 4, 4], NAN_BOX), array([0, 0, 2, 2], [9, 9, 10, 10])
    np.testing.assert_array_equal(iou(a[:, None], b[None]), [[1, 0], [0.25, 0], [0, 0]])
    assert iou(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0,)


def test_iou_of_single_precision_boxes_is_in_double_precision() -> None:
    third = np.array([[0, 0, 1, 1]], np.float32), np.array([[0, 0, 3, 1]], np.float32)
    assert iou(*third).dtype == np.float64
    assert iou(*third)[0] == 1 / 3


def test_iou_matches_counted_pixels() -> None:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(0, 13, (200, 2, 2, 2)), axis=-1)  # pair, box, axis, end
    found = iou(*(np.concatenate([corners[:, i, :, 0], corners[:, i, :, 1]], axis=1) for i in (0, 1)))
    masks = np.zeros((200, 2, 12, 12), bool)
    for pair, box in np.ndindex(200, 2):
        (x0, x1), (y0, y1) = corners[pair, box]
        masks[pair, box, y0:y1, x0:x1] = True
    both, either = masks.all(axis=1).sum(axis=(1, 2)), masks.any(axis=1).sum(axis=(1, 2))
    np.testing.assert_allclose(found, both / np.maximum(either, 1), rtol=1e-15)
    assert 20 < np.count_nonzero(found) < 180


def test_scale_by_one_factor_or_one_a_box() -> None:
    boxes = array([1, 2, 3, 4], [5, 6, 7, 8])
    np.testing.assert_array_equal(scale(boxes, 2, 10), [[2, 20, 6, 40], [10, 60, 14, 80]])
    np.testing.assert_array_equal(
        scale(boxes, np.array([1.0, 2.0]), np.array([10.0, 1.0])), [[1, 20, 3, 40], [10, 6, 14, 8]]
    )


@pytest.mark.parametrize(
    ("box", "size", "expected"),
    [
        pytest.param([0, 0, 40, 20], (40, 20), [0, 0, 1, 1], id="whole image"),
        pytest.param([10, 5, 30, 10], (40, 20), [0.25, 0.25, 0.5, 0.25], id="corner and size, not centre"),
        pytest.param([10, 5, 10, 5], (40, 20), [0.25, 0.25, 0, 0], id="no area"),
        pytest.param([-10, 0, 50, 20], (40, 20), [-0.25, 0, 1.5, 1], id="over the border stays"),
        pytest.param(NAN_BOX, (40, 20), NAN_BOX, id="NaN"),
    ],
)
def test_xyxy_to_fractions(box: list[float], size: tuple[int, int], expected: list[float]) -> None:
    np.testing.assert_allclose(xyxy_to_fractions(array(box), *size), [expected], rtol=1e-15)


@pytest.mark.parametrize(
    ("fractions", "expected"),
    [
        pytest.param([0, 0, 1, 1], [0, 0, 40, 20], id="whole image"),
        pytest.param([0.25, 0.25, 0.5, 0.25], [10, 5, 30, 10], id="plain"),
        pytest.param([0.5, -0.5, 1, 1], [20, 0, 40, 10], id="clipped, not moved"),
        pytest.param([1.5, 0, 0.5, 1], [40, 0, 40, 20], id="outside becomes an edge"),
        pytest.param(NAN_BOX, NAN_BOX, id="NaN"),
    ],
)
def test_fractions_to_xyxy(fractions: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(fractions_to_xyxy(array(fractions), 40, 20), [expected], rtol=1e-15)


def test_fractions_there_and_back_in_images_of_their_own_sizes() -> None:
    rng = np.random.default_rng(1)
    width, height = rng.integers(1, 4000, (2, 500)).astype(np.float64)
    unit = np.sort(rng.random((500, 2, 2)), axis=1).reshape(500, 4)
    boxes = scale(unit, width, height)
    back = fractions_to_xyxy(xyxy_to_fractions(boxes, width, height), width, height)
    np.testing.assert_allclose(back, boxes, rtol=1e-12)
