"""Random crops and the boxes in them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from psol_ray.geometry.crops import boxes_in_crops, clip_to_center, draw_crops


def crops(width: int, height: int, min_area: float, box: list[float] | None = None, number: int = 300) -> np.ndarray:
    boxes_N4 = None if box is None else np.array([box] * number)
    return draw_crops(np.random.default_rng(0), np.array([[width, height]] * number), min_area, boxes_N4)


@pytest.mark.parametrize(("width", "height"), [(640, 427), (31, 200), (500, 500), (1, 1), (2, 900)])
def test_crop_is_a_region_of_whole_pixels_inside_the_image(width: int, height: int) -> None:
    x0, y0, x1, y1 = crops(width, height, 0.08).T
    assert ((x0 >= 0) & (y0 >= 0) & (x0 < x1) & (y0 < y1) & (x1 <= width) & (y1 <= height)).all()


def test_crop_has_the_area_and_the_aspect_asked_for() -> None:
    x0, y0, x1, y1 = crops(640, 480, 0.25, number=1000).T
    share = (x1 - x0) * (y1 - y0) / (640 * 480)
    ratio = (x1 - x0) / (y1 - y0)
    assert 0.245 < share.min() < 0.27
    assert 0.95 < share.max() <= 1
    assert ratio.min() > 0.74
    assert ratio.max() < 1.35


def test_crop_meets_the_box_or_is_the_whole_image() -> None:
    corner = [0.0, 0, 30, 20]
    regions = crops(640, 480, 0.08, corner)
    assert ((regions[:, 0] < 30) & (regions[:, 1] < 20)).all()
    unreachable = [640.0, 480, 640, 480]
    assert (crops(640, 480, 0.08, unreachable, number=3) == [0, 0, 640, 480]).all()


def test_crop_is_the_same_for_a_seed_and_differs_between_seeds() -> None:
    sizes_N2 = np.array([[640, 480], [31, 200]])
    first, again, other = (draw_crops(np.random.default_rng(seed), sizes_N2, 0.08) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=1).all()


def reference_crop(rng: np.random.Generator, width: int, height: int, min_area: float, box: np.ndarray) -> list[int]:
    """A crop as the authors' code draws it, image by image."""
    for _ in range(30):
        area = rng.uniform(min_area, 1) * width * height
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            x0, y0 = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            if max(x0, box[0]) < min(x0 + w, box[2]) and max(y0, box[1]) < min(y0 + h, box[3]):
                return [x0, y0, x0 + w, y0 + h]
    return [0, 0, width, height]


@pytest.mark.parametrize(
    ("width", "height", "min_area", "box"),
    [
        pytest.param(640, 480, 0.2, [300, 200, 400, 300], id="mostly at once"),
        pytest.param(640, 480, 0.2, [0, 0, 40, 30], id="a box that crops miss"),
        pytest.param(300, 90, 0.3, [10, 10, 60, 80], id="most crops are too high"),
        pytest.param(7, 5, 0.08, [1.5, 0.2, 4, 3.3], id="few pixels"),
    ],
)
def test_crops_are_distributed_as_those_drawn_one_by_one(
    width: int, height: int, min_area: float, box: list[float]
) -> None:
    number = 4000
    found = crops(width, height, min_area, box, number)
    rng = np.random.default_rng(1)
    expected = np.array([reference_crop(rng, width, height, min_area, np.array(box)) for _ in range(number)])
    sides = [np.stack([*x.T, x[:, 2] - x[:, 0], x[:, 3] - x[:, 1]]) for x in (found, expected)]
    # The largest distance of two distributions: of 4,000 from one and the same, one pair in ten million is farther.
    distances = [ks_2samp(a, b).statistic for a, b in zip(*sides, strict=True)]
    assert max(distances) < 0.065
    whole = [(x == [0, 0, width, height]).all(axis=1).mean() for x in (found, expected)]
    assert whole[0] == pytest.approx(whole[1], abs=0.05)


def test_each_image_of_many_gets_a_crop_of_its_own_size_and_box() -> None:
    rng = np.random.default_rng(0)
    sizes_N2 = rng.integers(1, 900, (2000, 2))
    low_N2 = rng.uniform(0, 0.9, (2000, 2)) * sizes_N2
    boxes_N4 = np.concatenate([low_N2, low_N2 + rng.uniform(0.05, 1, (2000, 2)) * (sizes_N2 - low_N2)], axis=1)
    regions_N4 = draw_crops(rng, sizes_N2, 0.08, boxes_N4)
    assert ((regions_N4[:, :2] >= 0) & (regions_N4[:, :2] < regions_N4[:, 2:]) & (regions_N4[:, 2:] <= sizes_N2)).all()
    low_N2, high_N2 = np.maximum(regions_N4, boxes_N4)[:, :2], np.minimum(regions_N4, boxes_N4)[:, 2:]
    assert (low_N2 < high_N2).all()


@pytest.mark.parametrize(
    ("box", "region", "flip", "expected"),
    [
        pytest.param([10, 20, 30, 40], (0, 0, 100, 100), False, [0.1, 0.2, 0.2, 0.2], id="whole image"),
        pytest.param([10, 20, 30, 40], (0, 0, 100, 100), True, [0.7, 0.2, 0.2, 0.2], id="mirrored"),
        pytest.param([10, 20, 30, 40], (10, 20, 30, 40), True, [0, 0, 1, 1], id="the box itself"),
        pytest.param([10, 20, 30, 40], (20, 10, 60, 30), False, [0, 0.5, 0.25, 0.5], id="clipped"),
        pytest.param([10, 20, 30, 40], (20, 10, 60, 30), True, [0.75, 0.5, 0.25, 0.5], id="clipped and mirrored"),
    ],
)
def test_box_in_crop(box: list[float], region: tuple[int, ...], flip: bool, expected: list[float]) -> None:
    # Beside another one, which is mirrored where it is not.
    found = boxes_in_crops(np.array([[0, 0, 8, 2], box]), np.array([[4, 0, 8, 4], region]), np.array([not flip, flip]))
    np.testing.assert_allclose(found, [[0, 0, 1, 0.5], expected], atol=1e-12)


def test_boxes_in_crops_leave_their_boxes_alone() -> None:
    boxes_N4 = np.array([[10.0, 20, 30, 40]])
    boxes_in_crops(boxes_N4, np.array([[20, 10, 60, 30]]), np.array([True]))
    np.testing.assert_array_equal(boxes_N4, [[10, 20, 30, 40]])


@st.composite
def images_with_a_box(draw: st.DrawFn) -> tuple[int, int, np.ndarray]:
    """Width and height of an image, and a box of some area inside it."""
    width, height = draw(st.integers(1, 900)), draw(st.integers(1, 900))
    shares = [draw(st.floats(0, 0.9)) for _ in range(2)]
    x0, y0 = shares[0] * width, shares[1] * height
    box = [x0, y0, x0 + draw(st.floats(0.05, 1)) * (width - x0), y0 + draw(st.floats(0.05, 1)) * (height - y0)]
    return width, height, np.array(box)


@given(image=images_with_a_box(), min_area=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_any_crop_is_inside_the_image_large_enough_and_meets_the_box(
    image: tuple[int, int, np.ndarray], min_area: float, seed: int
) -> None:
    width, height, box = image
    ((x0, y0, x1, y1),) = draw_crops(np.random.default_rng(seed), np.array([[width, height]]), min_area, box[None])
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    rounding = (x1 - x0 + y1 - y0) / 2 + 1  # half a pixel along each side
    assert (x1 - x0) * (y1 - y0) >= min_area * width * height - rounding
    assert max(x0, box[0]) < min(x1, box[2])
    assert max(y0, box[1]) < min(y1, box[3])


@given(image=images_with_a_box(), seed=st.integers(0, 2**32))
def test_any_target_is_a_share_of_the_crop_and_its_twin_is_mirrored(
    image: tuple[int, int, np.ndarray], seed: int
) -> None:
    width, height, box = image
    regions_14 = draw_crops(np.random.default_rng(seed), np.array([[width, height]]), 0.1, box[None])
    ((x, y, w, h),) = boxes_in_crops(box[None], regions_14, np.array([False]))
    assert min(x, y, w, h) >= 0
    assert max(x + w, y + h) <= 1 + 1e-12
    assert w * h > 0
    (twin,) = boxes_in_crops(box[None], regions_14, np.array([True]))
    assert [math.isclose(a, b, abs_tol=1e-12) for a, b in zip(twin, (1 - x - w, y, w, h), strict=True)] == [True] * 4


@pytest.mark.parametrize(
    ("size", "share", "box", "expected"),
    [
        pytest.param((512, 128), 0.875, (32, 8, 480, 120), (0, 0, 1, 1), id="all of the middle"),
        pytest.param((512, 128), 0.875, (0, 0, 256, 128), (0, 0, 0.5, 1), id="over its border"),
        pytest.param((512, 128), 0.875, (0, 0, 32, 128), (0, 0, 0, 1), id="outside"),
        pytest.param((10, 10), 0.8, (0, 0, 1, 10), (0, 0, 0, 1), id="outside, whatever the last digit"),
        pytest.param((320, 320), 299 / 320, (0, 0, 10.5, 320), (0, 0, 0, 1), id="Inception's"),
        pytest.param((0, 0), 0.875, (0, 0, 5, 5), (0, 0, 0, 0), id="of an image without a size"),
    ],
)
def test_what_of_a_box_is_in_the_middle(
    size: tuple[int, int], share: float, box: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    found = clip_to_center(np.array([box], float), np.array([size], float), share)
    np.testing.assert_allclose(found, [expected], atol=1e-15)
