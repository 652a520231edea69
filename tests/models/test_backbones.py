"""The table of backbones, and timm beside it."""

import pytest
import torch

from psol_ray.errors import UserError
from psol_ray.models.backbones import HALF, IMAGENET_MEAN, TORCHVISION, Backbone, find_backbone

TIMM = ["tf_efficientnet_lite0", "vit_tiny_patch16_224", "resnetv2_18", "deit_tiny_distilled_patch16_224"]


@pytest.mark.parametrize("name", [*TORCHVISION, *TIMM])
def test_named_layers_and_tensors_exist(name: str) -> None:
    backbone = find_backbone(name)
    with torch.device("meta"):
        network = backbone.build()
    for layer in backbone.last_layers:
        network.get_submodule(layer)
    for prefix in (*backbone.unused_by_features, *(f"{layer}." for layer in backbone.last_layers)):
        assert any(tensor.startswith(prefix) for tensor in network.state_dict()), prefix


@pytest.mark.parametrize(
    ("name", "size", "mean"),
    [
        ("vgg16", 224, IMAGENET_MEAN),
        ("inception_v3", 299, HALF),
        ("tf_efficientnet_lite0", 224, HALF),
        ("resnet50.a1_in1k", 224, IMAGENET_MEAN),
    ],
)
def test_input_is_that_of_the_pretraining(name: str, size: int, mean: tuple[float, ...]) -> None:
    backbone = find_backbone(name)
    assert (backbone.input_size, backbone.mean) == (size, mean)


def test_table_comes_before_timm() -> None:
    backbone = find_backbone("resnet50")
    assert isinstance(backbone, Backbone)
    assert backbone.torchvision_name == "resnet50"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("resnet5O", r"'resnet5O' is unknown; expected one of vgg16, .* or a timm model", id="unknown"),
        pytest.param("efficientnet_lite", "timm has efficientnet_lite0, ", id="beginning of a name"),
        pytest.param("resnet50.nonsense", "Invalid pretrained tag", id="unknown tag"),
        pytest.param("hf-hub:timm/resnet10t.c3_in1k", "is unknown; .*; timm has resnet10t", id="an address"),
        pytest.param(
            "vit_tiny_patch16_224_in21k", "given up; give 'vit_tiny_patch16_224.augreg_in21k'", id="a former name"
        ),
    ],
)
def test_unusable_name_is_told(name: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        find_backbone(name)
