"""What is cut out of an image, and where that lies in it."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import center_crop, ten_crop

from psol_ray.prediction.views import View


@pytest.mark.parametrize(
    ("size", "share", "resize"), [(224, 224 / 256, 256), (299, 299 / 320, 320), (160, 224 / 256, 183), (4, 0.5, 8)]
)
def test_crops_are_torchvision_s(size: int, share: float, resize: int) -> None:
    images_NHWC = torch.randint(0, 256, (2, resize, resize, 3), dtype=torch.uint8)
    images_NCHW = images_NHWC.permute(0, 3, 1, 2)
    center = View.make("center", size, share)
    assert (center.resize, center.num_crops) == (resize, 1)
    assert torch.equal(center.cut(images_NHWC, 0).permute(0, 3, 1, 2), center_crop(images_NCHW, [size, size]))
    ten = View.make("ten", size, share)
    cut = [ten.cut(images_NHWC, index).permute(0, 3, 1, 2) for index in range(ten.num_crops)]
    expected = list(ten_crop(images_NCHW, [size, size]))
    assert len(cut) == len(expected) == 10
    for crop in expected:
        assert sum(torch.equal(crop, found) for found in cut) == 1
    assert torch.equal(cut[0], center_crop(images_NCHW, [size, size]))


def test_whole_images_are_the_network_s_input() -> None:
    view = View.make("whole", 224, 0.875)
    images_NHWC = torch.arange(2 * 224 * 224 * 3).reshape(2, 224, 224, 3)
    assert (view.resize, view.num_crops) == (224, 1)
    assert torch.equal(view.cut(images_NHWC, 0), images_NHWC)


@pytest.mark.parametrize(
    ("name", "fractions", "expected"),
    [
        pytest.param("whole", (0, 0, 1, 1), (0, 0, 512, 128), id="all of it"),
        pytest.param("whole", (0.25, 0.5, 0.5, 0.25), (128, 64, 384, 96), id="a part of it"),
        pytest.param("center", (0, 0, 1, 1), (32, 8, 480, 120), id="all of the middle"),
        pytest.param("center", (0.5, 0.5, 0.25, 0.5), (256, 64, 368, 120), id="a part of the middle"),
        pytest.param("center", (0.5, 0.5, 0.9, 0.9), (256, 64, 480, 120), id="over the border of the middle"),
    ],
)
def test_boxes_are_in_pixels_of_the_whole_image(
    name: str, fractions: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    view = View.make(name, 224, 224 / 256)  # type: ignore[arg-type]
    found = view.in_image(np.array([fractions]), np.array([[512, 128]]))
    np.testing.assert_allclose(found, [expected])


def test_a_crop_that_cannot_be_in_the_very_middle() -> None:
    """320 - 299 is odd: torchvision begins at 10, not at 10.5."""
    view = View.make("center", 299, 299 / 320)
    found = view.in_image(np.array([(0, 0, 1, 1)]), np.array([[320, 320]]))
    np.testing.assert_allclose(found, [[10, 10, 309, 309]])
