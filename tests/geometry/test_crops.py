"""Random crops and the boxes in them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psol_ray.geometry.crops import Region, box_in_crop, clip_to_center, draw_crop


def crops(width: int, height: int, min_area: float, box: list[float] | None = None, number: int = 300) -> np.ndarray:
    rng = np.random.default_rng(0)
    wanted = None if box is None else np.array(box)
    return np.array([draw_crop(rng, width, height, min_area, wanted) for _ in range(number)])


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
    first, again, other = (draw_crop(np.random.default_rng(seed), 640, 480, 0.08) for seed in (1, 1, 2))
    assert first == again != other


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
def test_box_in_crop(box: list[float], region: Region, flip: bool, expected: list[float]) -> None:
    np.testing.assert_allclose(box_in_crop(np.array(box), region, flip), expected, atol=1e-12)


def test_box_in_crop_leaves_its_box_alone() -> None:
    box = np.array([10.0, 20, 30, 40])
    box_in_crop(box, (20, 10, 60, 30), True)
    np.testing.assert_array_equal(box, [10, 20, 30, 40])


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
    x0, y0, x1, y1 = draw_crop(np.random.default_rng(seed), width, height, min_area, box)
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
    region = draw_crop(np.random.default_rng(seed), width, height, 0.1, box)
    x, y, w, h = box_in_crop(box, region, False)
    assert min(x, y, w, h) >= 0
    assert max(x + w, y + h) <= 1 + 1e-12
    assert w * h > 0
    twin = box_in_crop(box, region, True)
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
