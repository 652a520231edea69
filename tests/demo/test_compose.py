import numpy as np
import pytest

from psol_ray.demo import compose as module
from psol_ray.demo.compose import OBJECT_SHARE, compose
from psol_ray.demo.cutouts import Cutout
from psol_ray.demo.outlines import class_names

SEEDS = range(6)


@pytest.mark.parametrize("class_name", class_names())
def test_box_is_the_exact_extent_of_the_object(class_name: str) -> None:
    for seed in SEEDS:
        composition = compose(class_name, np.random.default_rng(seed))
        rows, columns = np.nonzero(composition.alpha > 0.5)
        expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert composition.box == expected


@pytest.mark.parametrize("class_name", class_names())
def test_object_is_wholly_inside_at_a_scale_in_range(class_name: str) -> None:
    for seed in SEEDS:
        composition = compose(class_name, np.random.default_rng(seed))
        alpha = composition.alpha
        height, width = alpha.shape
        border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert border.max() < 0.5
        x0, y0, x1, y1 = composition.box
        share = max((x1 - x0) / width, (y1 - y0) / height)
        low, high = OBJECT_SHARE
        assert low * 0.9 < share < high + 0.01  # the soft edge, a pixel or two of the source, counts in the scale


@pytest.mark.parametrize("class_name", class_names())
def test_image_size_and_type(class_name: str) -> None:
    for seed in SEEDS:
        rgb = compose(class_name, np.random.default_rng(seed)).rgb
        short, long = sorted(rgb.shape[:2])
        assert rgb.dtype == np.uint8
        assert rgb.shape[2] == 3
        assert 280 <= short <= 400
        assert long <= short * 4 / 3


def test_objects_move_flip_and_change_size() -> None:
    boxes = np.array([compose("cat", np.random.default_rng(seed)).box for seed in range(30)], float)
    widths, centres = boxes[:, 2] - boxes[:, 0], (boxes[:, :2] + boxes[:, 2:]) / 2
    assert widths.max() > 1.8 * widths.min()
    assert (np.ptp(centres, axis=0) > 100).all()


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_warp_puts_the_cutout_where_the_matrix_says(scale: float) -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[20:60, 30:80] = 1
    cutout = Cutout(np.zeros((100, 100, 3), np.uint8), alpha, np.zeros((0, 2), np.float32), False)
    _, warped = module._warp(cutout, scale, np.eye(2), np.array([7.0, 11.0]), (300, 300))
    # Pixel x covers x - 0.5 to x + 0.5; so the object covers 29.5 to 79.5, and 19.5 to 59.5.
    expected = np.array([29.5, 19.5, 79.5, 59.5]) * scale + [7, 11, 7, 11] + 0.5
    assert np.abs(np.array(module._extent(warped)) - expected).max() <= 1


def test_enlarged_edges_stay_sharp() -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[20:60, 30:80] = 1
    cutout = Cutout(np.zeros((100, 100, 3), np.uint8), alpha, np.zeros((0, 2), np.float32), False)
    _, warped = module._warp(cutout, 4.0, np.eye(2), np.zeros(2), (400, 400))
    row = warped[160]
    assert ((row > 0.05) & (row < 0.95)).sum() <= 4  # two edges
