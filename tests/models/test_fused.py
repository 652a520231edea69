import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from psol_ray.images.pillow import PillowDecoder
from psol_ray.models import lite0
from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.fused import FusedConvolution, Pool, Stem, fuse
from psol_ray.models.weights import load_state

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]) * 255, torch.tensor([0.229, 0.224, 0.225]) * 255
# Of a network's ReLUs, those that follow a convolution, or a sum behind one; DenseNet's others come before theirs.
RELUS = {"vgg16": 13, "resnet50": 49, "inception_v3": 94, "densenet161": 79}
POOLS = {"vgg16": 5, "resnet50": 1, "inception_v3": 4, "densenet161": 1}


def pictures(number: int, side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    clouds = F.interpolate(torch.rand(number, 3, 6, 6, generator=generator), (side, side), mode="bilinear")
    grain = torch.rand(number, 3, side, side, generator=generator)
    return (200 * clouds + 55 * grain).permute(0, 2, 3, 1).to(torch.uint8)


def extractor_of(name: str, weights: str = "random") -> FeatureExtractor:
    """With batch normalisation that has something to do."""
    torch.manual_seed(0)
    backbone = find_backbone(name)
    extractor = FeatureExtractor(backbone, load_state(backbone, weights, for_features=True))
    for module in extractor.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
            module.weight.data.uniform_(0.8, 1.2)
            module.bias.data.normal_(0, 0.1)
    return extractor


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


@torch.no_grad()
def distances(extractor: FeatureExtractor, images: torch.Tensor) -> tuple[float, float]:
    """From float32, of the fused network and of the plain one in bfloat16."""
    expected = extractor(images)
    fused = extractor.fused(F.max_pool2d)
    assert fused is not None
    with torch.autocast("cpu", torch.bfloat16):
        plain = extractor(images)
    found = fused(images)
    assert found.dtype == torch.bfloat16
    assert found.shape == expected.shape
    return distance(found, expected), distance(plain, expected)


@pytest.mark.parametrize("name", RELUS)
def test_fused_network_is_the_plain_one_within_bfloat16s_rounding(name: str) -> None:
    fused, plain = distances(extractor_of(name), pictures(1, 80))
    assert fused < 1.5 * plain
    assert plain < 0.03


def test_fused_vgg16_on_a_photograph(shared: Path) -> None:
    extractor = extractor_of("vgg16", str(shared / "weights" / "vgg16_features.safetensors"))
    path = next((shared / "data" / "CUB_200_2011" / "images").rglob("*.jpg"))
    fused, plain = distances(extractor, PillowDecoder(224).decode([str(path)]).images_NHWC)
    assert fused < 1.1 * plain
    assert plain < 0.01


@pytest.mark.parametrize("name", RELUS)
def test_what_can_be_fused_is(name: str) -> None:
    traced = extractor_of(name).to_map.extractor
    fused = fuse(traced, MEAN, STD, F.max_pool2d)
    assert isinstance(fused, torch.fx.GraphModule)
    modules = [fused.get_submodule(str(node.target)) for node in fused.graph.nodes if node.op == "call_module"]
    assert isinstance(modules[0], Stem)
    convolutions = [modules[0].convolution, *(module for module in modules if isinstance(module, FusedConvolution))]
    assert sum(convolution.relu for convolution in convolutions) == RELUS[name]
    assert not [module for module in modules if isinstance(module, nn.Conv2d | nn.MaxPool2d)]
    assert sum(isinstance(module, Pool) for module in modules) == POOLS[name]


def test_the_plain_network_stays_as_it_was() -> None:
    extractor, images = extractor_of("vgg16"), pictures(1, 32)
    with torch.no_grad():
        before = extractor(images)
        extractor.fused(F.max_pool2d)
        assert torch.equal(extractor(images), before)


def test_what_is_not_traced_is_not_fused() -> None:
    assert extractor_of(lite0.BACKBONE).fused(F.max_pool2d) is None


class Forked(nn.Module):
    """Its images go two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolution(x) + x.mean()


def test_images_that_go_elsewhere_too_are_not_taken_as_bytes() -> None:
    assert fuse(torch.fx.symbolic_trace(Forked().eval()), MEAN, STD, F.max_pool2d) is None


@torch.no_grad()
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_bytes_give_what_normalised_pixels_give_up_to_the_border(padding: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 16, 7, stride=2, padding=padding)
    images = pictures(2, 24)
    images[0] = 200  # where what the mean takes away is as large as what is left
    stem = Stem(FusedConvolution(convolution, relu=False), convolution.weight, MEAN, STD)
    # Of weights as they were rounded, for these are all that may differ.
    weight = (convolution.weight / STD.view(3, 1, 1)).bfloat16().double()
    pixels = images.permute(0, 3, 1, 2).double() - MEAN.double().view(3, 1, 1)
    assert convolution.bias is not None
    expected = F.conv2d(pixels, weight, convolution.bias.bfloat16().double(), stride=2, padding=padding)
    torch.testing.assert_close(stem(images).double(), expected, rtol=2**-8, atol=1e-4)


def test_pools_of_our_own_are_pytorchs(tmp_path: Path) -> None:
    """In Triton's interpreter; on a GPU `tests/gpu` runs the kernel itself."""
    pytest.importorskip("triton")
    script = tmp_path / "pools.py"
    script.write_text(
        """
import itertools
import torch
from torch.nn import functional as F
from psol_ray.models.triton_pool import triton_max_pool

torch.manual_seed(0)
for (h, w, c), (k, s, p) in itertools.product(
    [(6, 8, 16), (7, 9, 5), (14, 14, 130)], [(2, 2, 0), (3, 2, 1), (3, 2, 0), (3, 1, 1)]
):
    x = torch.randn(2, c, h, w).half().to(memory_format=torch.channels_last)
    x[1, 0, 2, 3] = float("nan")
    found = triton_max_pool(x, (k, k), (s, s), (p, p))
    expected = F.max_pool2d(x, k, s, p)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    assert found.is_contiguous(memory_format=torch.channels_last)
print("right")
"""
    )
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "right\n", done.stderr
