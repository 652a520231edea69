"""Boxes of real heat maps against looking at every pixel of the upsampled heat."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.measure import label
from torch.nn.functional import interpolate, max_pool2d

from psol_ray.generators.ddt.moments import Moments
from psol_ray.heatmaps.boxes import heat_to_boxes
from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.weights import load_state

pytestmark = pytest.mark.xdist_group("real_maps")  # the fixture is dear

SIDE = 448
IMAGES_PER_CLASS = 8


@pytest.fixture(scope="module")
def heat_of_classes(shared: Path) -> dict[int, torch.Tensor]:
    """Projections of VGG16's features on the component of each of two classes of birds, by cells a side: after the
    last pool 14, before it 28."""
    backbone = replace(find_backbone("vgg16"), feature_node="features.29")
    state = load_state(backbone, str(shared / "weights" / "vgg16_features.safetensors"), for_features=True)
    extractor = FeatureExtractor(backbone, state)
    heat: dict[int, list[torch.Tensor]] = {14: [], 28: []}
    for folder in sorted((shared / "data" / "CUB_200_2011" / "images").iterdir())[:2]:
        files = sorted(folder.iterdir())[:IMAGES_PER_CLASS]
        images = [np.asarray(Image.open(file).convert("RGB").resize((SIDE, SIDE))) for file in files]
        with torch.inference_mode():
            map_Nhwc = torch.cat([extractor(torch.from_numpy(image)[None]) for image in images])
        pooled_Nhwc = max_pool2d(map_Nhwc.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
        for cells, features_Nhwc in ((14, pooled_Nhwc), (28, map_Nhwc)):
            moments = Moments.empty(512)
            moments.update(features_Nhwc.reshape(-1, 512))
            heat[cells].append(moments.component().project(features_Nhwc))
    return {cells: torch.cat(parts) for cells, parts in heat.items()}


def look_at_every_pixel(heat_hw: torch.Tensor) -> tuple[tuple[int, int, int, int], int]:
    """Box and area, in pixels, of the largest 8-connected component of the upsampled heat."""
    upsampled = interpolate(heat_hw[None, None], (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
    labels = label(upsampled.numpy() > 0, connectivity=2)
    areas = np.bincount(labels.ravel(), minlength=2)
    areas[0] = 0
    y, x = np.nonzero(labels == areas.argmax())
    return (x.min(), y.min(), x.max() + 1, y.max() + 1), int(areas.max())


@pytest.mark.slow
@pytest.mark.parametrize("cells", [14, 28])
@pytest.mark.parametrize("sign", [1, -1])
def test_boxes_and_areas_are_those_of_every_pixel(
    heat_of_classes: dict[int, torch.Tensor], cells: int, sign: int
) -> None:
    heat_Nhw = sign * heat_of_classes[cells]
    assert heat_Nhw.shape == (2 * IMAGES_PER_CLASS, cells, cells)
    found = heat_to_boxes(heat_Nhw, SIDE, "bilinear")
    boxes, areas = zip(*map(look_at_every_pixel, heat_Nhw), strict=True)
    np.testing.assert_allclose(found.boxes_N4 * SIDE, boxes, atol=1e-6)
    np.testing.assert_array_equal(np.rint(found.area_fraction_N * SIDE**2), areas)
