"""Boxes of hand-drawn heat maps; `#` is 1, `.` is -1, `0` is zero."""

import numpy as np
import pytest
import torch
from skimage.measure import label, regionprops

from psol_ray.heatmaps.boxes import Upsample, heat_to_boxes

LEVELS = {"#": 1.0, ".": -1.0, "0": 0.0, "+": 0.5}


def heat(*drawings: str) -> torch.Tensor:
    return torch.tensor([[[LEVELS[c] for c in row] for row in drawing.split()] for drawing in drawings])


@pytest.mark.parametrize(
    ("drawing", "box", "area"),
    [
        pytest.param(".... .##. .##. ....", (1, 1, 3, 3), 4, id="inside"),
        pytest.param("##.. ##.. .... ....", (0, 0, 2, 2), 4, id="upper left corner"),
        pytest.param(".... .... ..## ..##", (2, 2, 4, 4), 4, id="lower right corner"),
        pytest.param("#### #### #### ####", (0, 0, 4, 4), 16, id="all positive"),
        pytest.param(".... ..#. .... ....", (2, 1, 3, 2), 1, id="one cell"),
        pytest.param("#... .#.. ..#. ...#", (0, 0, 4, 4), 4, id="diagonal cells touch"),
        pytest.param("##.. ##.. ...# ....", (0, 0, 2, 2), 4, id="larger component alone"),
        pytest.param("#..# #..# #..# ...#", (3, 0, 4, 4), 4, id="largest by cells"),
        pytest.param("#### .... ##.. ##..", (0, 0, 4, 1), 4, id="first of equals, by row"),
        pytest.param("#..# #..# .... ....", (0, 0, 1, 2), 2, id="first of equals, by column"),
        pytest.param("...# #..# #... ....", (3, 0, 4, 2), 2, id="first of equals, not by blocks of two rows"),
        pytest.param("0000 0##0 0000 0000", (1, 1, 3, 2), 2, id="zero is background"),
        pytest.param("##0## #...# ##0##", (0, 0, 2, 3), 5, id="zero separates"),
    ],
)
def test_nearest_takes_the_largest_component_of_the_map_itself(drawing: str, box: tuple[int, ...], area: int) -> None:
    maps = heat(drawing)
    found = heat_to_boxes(maps, 448, "nearest")
    height, width = maps.shape[1:]
    np.testing.assert_allclose(found.boxes_N4, np.array([box]) / [width, height, width, height])
    assert found.found_N.tolist() == [True]
    assert found.area_fraction_N[0] == pytest.approx(area / (width * height))
    assert found.mean_heat_N[0] == 1


@pytest.mark.parametrize(
    ("drawing", "box"),
    [
        # Eight pixels a cell: a step from -1 to 1 crosses zero midway between two centres, at the cells' border.
        pytest.param(".... .##. .##. ....", (8, 8, 24, 24), id="inside"),
        pytest.param("##.. ##.. .... ....", (0, 0, 16, 16), id="a corner reaches the border"),
        pytest.param("#### #### #### ####", (0, 0, 32, 32), id="all positive"),
        pytest.param("##.. ##.. ...# ....", (0, 0, 16, 16), id="larger component alone"),
        pytest.param("...# #..# #... ....", (24, 0, 32, 16), id="first of equals, not by blocks of two rows"),
        # From 1 to 0 nothing is crossed before the centre of the zero.
        pytest.param("0000 0#00 0000 0000", (4, 4, 20, 20), id="strictly above zero reaches the next centres"),
    ],
)
def test_bilinear_takes_the_largest_component_of_the_upsampled_map(drawing: str, box: tuple[int, ...]) -> None:
    found = heat_to_boxes(heat(drawing), 32, "bilinear")
    np.testing.assert_allclose(found.boxes_N4, np.array([box]) / 32)
    assert found.found_N.tolist() == [True]


def test_the_two_readings_differ_where_heat_is_uneven() -> None:
    maps = heat(".... .+.. .... ....")
    assert heat_to_boxes(maps, 32, "nearest").boxes_N4.tolist() == [[0.25, 0.25, 0.5, 0.5]]
    x0, _, x1, _ = heat_to_boxes(maps, 32, "bilinear").boxes_N4[0]
    assert x1 - x0 < 0.25


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
@pytest.mark.parametrize(
    "maps",
    [
        pytest.param(heat(".... .... .... ...."), id="all negative"),
        pytest.param(heat("0000 0000 0000 0000"), id="all zero"),
        pytest.param(torch.full((1, 4, 4), torch.nan), id="NaN"),
    ],
)
def test_no_foreground_is_the_whole_image(maps: torch.Tensor, upsample: Upsample) -> None:
    found = heat_to_boxes(maps, 32, upsample)
    assert found.boxes_N4.tolist() == [[0, 0, 1, 1]]
    assert found.found_N.tolist() == [False]
    assert found.area_fraction_N.tolist() == [0]
    assert found.mean_heat_N.tolist() == [0]


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
def test_maps_of_a_batch_are_each_their_own(upsample: Upsample) -> None:
    drawings = ["##.. ##.. .... ....", ".... .... .... ....", ".... .... ..## ..##"]
    found = heat_to_boxes(heat(*drawings), 32, upsample)
    assert found.boxes_N4.tolist() == [[0, 0, 0.5, 0.5], [0, 0, 1, 1], [0.5, 0.5, 1, 1]]
    assert found.found_N.tolist() == [True, False, True]


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
def test_more_maps_than_are_taken_at_once_come_in_order(upsample: Upsample) -> None:
    maps = torch.full((100, 10, 10), -1.0)
    for i in range(100):
        maps[i, i // 10, i % 10] = 1
    found = heat_to_boxes(maps, 20, upsample)
    expected = np.array([(i % 10, i // 10, i % 10 + 1, i // 10 + 1) for i in range(100)]) / 10
    np.testing.assert_allclose(found.boxes_N4, expected)


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
def test_nan_is_background_and_leaves_other_maps_alone(upsample: Upsample) -> None:
    maps = heat("##.. ##.. .... ....", "##.# #... .... ....", ".... .... ..## ..##")
    maps[1, 0, 3] = torch.nan
    found = heat_to_boxes(maps, 32, upsample)
    assert found.boxes_N4[[0, 2]].tolist() == [[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]
    assert found.boxes_N4[1].tolist() == [0, 0, 0.5, 0.5]
    assert np.isfinite(found.mean_heat_N).all()


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
def test_no_maps_are_no_boxes(upsample: Upsample) -> None:
    found = heat_to_boxes(torch.zeros(0, 4, 4), 32, upsample)
    assert found.boxes_N4.shape == (0, 4)
    assert found.found_N.dtype == bool


def test_random_maps_agree_with_scikit_image() -> None:
    maps = torch.randn(200, 9, 11, generator=torch.Generator().manual_seed(0)) - 0.3
    found = heat_to_boxes(maps, 0, "nearest")
    for i, map_hw in enumerate(maps.numpy()):
        region = max(regionprops(label(map_hw > 0, connectivity=2)), key=lambda region: region.area)
        y0, x0, y1, x1 = region.bbox
        np.testing.assert_allclose(found.boxes_N4[i], np.array([x0, y0, x1, y1]) / [11, 9, 11, 9])
        assert found.area_fraction_N[i] == pytest.approx(region.area / 99)
        assert found.mean_heat_N[i] == pytest.approx(map_hw[tuple(region.coords.T)].mean(), rel=1e-5)
