"""Random crops and the boxes in them."""

import numpy as np
import pytest

from psol_ray.geometry.crops import Region, box_in_crop, draw_crop


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
