"""Components found in cells against components found by labelling every pixel of the upsampled heat."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.measure import label
from torch.nn.functional import interpolate

from psol_ray.generators.ddt.moments import Moments
from psol_ray.heatmaps import bilinear
from psol_ray.heatmaps.bilinear import largest_upsampled_components
from psol_ray.models import lite0
from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.weights import load_state

pytestmark = pytest.mark.filterwarnings("error")

Found = tuple[tuple[int, ...], int, float]


def label_every_pixel(heat_hw: NDArray[np.floating], size: int, dtype: torch.dtype = torch.float64) -> Found:
    """Box in pixels, area and mean heat of the largest component; scikit-image numbers labels as first met by row."""
    heat_11hw = torch.from_numpy(heat_hw).to(dtype)[None, None]
    upsampled = interpolate(heat_11hw, (size, size), mode="bilinear", align_corners=False)[0, 0].numpy()
    labels = label(upsampled > 0, connectivity=2)
    area_L = np.bincount(labels.ravel())
    if len(area_L) == 1:
        return (0, 0, size, size), 0, 0.0
    inside = labels == 1 + area_L[1:].argmax()
    y, x = np.nonzero(inside)
    return (x.min(), y.min(), x.max() + 1, y.max() + 1), int(inside.sum()), float(upsampled[inside].mean(dtype=float))


def assert_as_if_labelled(maps: NDArray[np.float32], size: int, dtype: torch.dtype = torch.float64) -> None:
    found = largest_upsampled_components(maps, size)
    for i, heat_hw in enumerate(maps):
        box, area, mean = label_every_pixel(heat_hw, size, dtype)
        np.testing.assert_allclose(found.boxes_N4[i] * size, box, atol=1e-6, err_msg=f"map {i}")
        assert round(found.area_fraction_N[i] * size**2) == area
        assert found.mean_heat_N[i] == pytest.approx(mean, rel=1e-4)
        assert found.found_N[i] == (area > 0)


def draw_maps(seed: int, shape: tuple[int, int], sigma: float) -> NDArray[np.float32]:
    """Noise of every kind of threshold: mostly negative, mostly positive, half and half."""
    random = np.random.default_rng(seed)
    noise = np.stack([gaussian_filter(random.standard_normal(shape), sigma) for _ in range(6)])
    shifts = np.linspace(-1, 1, 6)[:, None, None] * noise.std((1, 2), keepdims=True)
    return (noise - shifts).astype(np.float32)


UPSAMPLED = [(14, 14, 448), (28, 28, 112), (8, 8, 299), (5, 9, 64), (6, 11, 33), (1, 7, 50), (6, 1, 50)]
# With a pixel a node, and with cells that no pixel lies in.
NOT_UPSAMPLED = [(9, 9, 9), (12, 12, 7), (2, 2, 1)]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from(UPSAMPLED + NOT_UPSAMPLED),
    sigma=st.sampled_from([0.0, 0.7, 1.5]),
)
def test_random_maps(seed: int, shape: tuple[int, int, int], sigma: float) -> None:
    height, width, size = shape
    assert_as_if_labelled(draw_maps(seed, (height, width), sigma), size)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), shape=st.sampled_from([(4, 4, 32), (5, 3, 64), (6, 6, 16), (3, 7, 8)]))
def test_maps_of_few_values_with_exact_zeros_and_ties(seed: int, shape: tuple[int, int, int]) -> None:
    height, width, size = shape
    maps = np.random.default_rng(seed).integers(-3, 3, (6, height, width)).astype(np.float32)
    assert_as_if_labelled(maps, size)


# The branches join in the heat from 1.071 on, in pixels somewhat before; no two corners are opposite equals, whose zero
# midway would be a matter of rounding for a size that is odd.
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("size", [64, 37, 6])
@pytest.mark.parametrize("corner", [0.5, 0.9, 1.0, 1.02, 1.04, 1.06, 1.07, 1.08, 1.1, 2.0])
def test_saddles(corner: float, size: int, flipped: bool) -> None:
    heat_hw = np.array([[1.25, -1.03], [-1.3, corner]], np.float32)
    assert_as_if_labelled((heat_hw[:, ::-1] if flipped else heat_hw)[None].copy(), size)


def test_saddle_joins_above_the_product_of_its_negative_corners_and_separates_below() -> None:
    maps = np.array([[[2, -1], [-1, 0.4]], [[2, -1], [-1, 0.6]]], np.float32)
    apart, joined = largest_upsampled_components(maps, 64).boxes_N4
    assert apart.max() < 1
    assert joined.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", [96, 48, 50])
@pytest.mark.parametrize(("lower", "joined"), [(0.5, True), (0.95, True), (1.05, None), (1.2, None), (2, False)])
def test_runs_from_opposite_ends_of_a_border_join_where_they_touch(
    lower: float, joined: bool | None, size: int, transposed: bool
) -> None:
    # Zero all along the middle column: left of it the upper part is positive, right of it the lower.
    heat_hw = np.array([[1, 0, -1], [-lower, 0, 1.0625]], np.float32)
    heat_hw = heat_hw.T.copy() if transposed else heat_hw
    assert_as_if_labelled(heat_hw[None], size)
    box = largest_upsampled_components(heat_hw[None], size).boxes_N4[0]
    assert joined is None or (box.tolist() == [0, 0, 1, 1]) == joined


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("neck", "joined"), [(1e-3, False), (0.01, False), (0.1, True), (0.0, False)])
def test_neck_thinner_than_a_pixel_is_none(neck: float, joined: bool, transposed: bool) -> None:
    heat_hw = np.full((3, 6), -1, np.float32)
    heat_hw[1] = [1, neck, neck, 1, 1, 1]
    heat_hw = heat_hw.T.copy() if transposed else heat_hw
    assert_as_if_labelled(heat_hw[None], 96)
    box = largest_upsampled_components(heat_hw[None], 96).boxes_N4[0]
    assert (box[int(transposed)] == 0) == joined


@pytest.mark.parametrize("gap", [0.0, -1e-3, -0.01, -0.03, -0.1])
def test_gap_thinner_than_a_pixel_is_none(gap: float) -> None:
    heat_hw = np.full((3, 6), -1, np.float32)
    heat_hw[1] = [1, 1, gap, 1, 1, 1]
    assert_as_if_labelled(heat_hw[None], 96)


def test_peak_between_pixels_is_not_seen() -> None:
    heat_hw = np.full((3, 3), -1, np.float32)
    heat_hw[1, 1] = 1e-3
    found = largest_upsampled_components(heat_hw[None], 96)
    assert found.found_N.tolist() == [False]
    assert found.boxes_N4.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (4, 4)])
@pytest.mark.parametrize("sign", [1, -1])
def test_maps_of_one_sign(shape: tuple[int, int], sign: int) -> None:
    assert_as_if_labelled(np.full((2, *shape), sign, np.float32), 20)


def test_checkerboards_and_single_nodes() -> None:
    board = np.where(np.indices((6, 6)).sum(0) % 2, -1, 1).astype(np.float32)
    single = np.eye(36, dtype=np.float32).reshape(36, 6, 6) * 2 - 1
    assert_as_if_labelled(np.concatenate([[board, -board, board + 0.25, board - 0.25], single]), 48)


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e30, 1e38])
def test_magnitude_does_not_matter(scale: float) -> None:
    maps = draw_maps(3, (14, 14), 0.7)
    maps /= np.abs(maps).max()
    expected = largest_upsampled_components(maps, 448)
    found = largest_upsampled_components(maps * np.float32(scale), 448)
    np.testing.assert_array_equal(found.boxes_N4, expected.boxes_N4)
    np.testing.assert_allclose(found.mean_heat_N, expected.mean_heat_N * scale, rtol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_value_that_is_not_finite_disturbs_no_other_map(value: float) -> None:
    maps = draw_maps(5, (8, 8), 1.0)
    expected = largest_upsampled_components(maps, 64)
    broken = maps.copy()
    broken[2, 3, 3] = value
    found = largest_upsampled_components(broken, 64)
    others = np.arange(len(maps)) != 2
    for column, expected_column in zip(found, expected, strict=True):
        np.testing.assert_array_equal(column[others], expected_column[others])
    box, area, _ = label_every_pixel(broken[2], 64)
    np.testing.assert_allclose(found.boxes_N4[2] * 64, box)
    assert round(found.area_fraction_N[2] * 64**2) == area


def test_only_ties_are_upsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    upsampled = []
    original = bilinear.largest_components
    monkeypatch.setattr(bilinear, "largest_components", lambda heat: upsampled.append(len(heat)) or original(heat))
    maps = np.concatenate([draw_maps(seed, (14, 14), 0.7) for seed in range(10)])
    largest_upsampled_components(maps, 448)
    assert upsampled == []
    maps[4] = -1
    maps[4, 2:4, 9] = maps[4, 6:8, 2] = 1
    box = largest_upsampled_components(maps, 448).boxes_N4[4]
    assert upsampled == [1]
    np.testing.assert_allclose(box * 14, [9, 2, 10, 4])


@pytest.mark.slow
def test_heat_of_photographs(shared: Path) -> None:
    backbone = find_backbone("tf_efficientnet_lite0")
    extract = FeatureExtractor(backbone, load_state(backbone, lite0.PACKAGE, for_features=True)).eval()
    birds = shared / "data" / "CUB_200_2011" / "images"
    for folder in ("001.Black_footed_Albatross", "005.Crested_Auklet"):
        files = sorted((birds / folder).iterdir())[:12]
        pixels_NHWC = np.stack([np.asarray(Image.open(f).convert("RGB").resize((448, 448))) for f in files])
        with torch.inference_mode():
            map_Nhwc = extract(torch.from_numpy(pixels_NHWC)).float()
        moments = Moments.empty(map_Nhwc.shape[-1])
        moments.update(map_Nhwc.reshape(-1, map_Nhwc.shape[-1]))
        heat_Nhw = moments.component().project(map_Nhwc).numpy()
        assert_as_if_labelled(np.concatenate([heat_Nhw, -heat_Nhw]), 448, torch.float32)
