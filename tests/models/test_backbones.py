"""The table of backbones, and timm beside it."""

import pytest
import torch

from psol_ray.errors import UserError
from psol_ray.models.backbones import HALF, IMAGENET_MEAN, TORCHVISION, Backbone, find_backbone

TIMM = ["tf_efficientnet_lite0", "vit_tiny_patch16_224"]


@pytest.mark.parametrize("name", [*TORCHVISION, *TIMM])
def test_named_layers_and_tensors_exist(name: str) -> None:
    backbone = find_backbone(name)
    with torch.device("meta"):
        network = backbone.build()
    network.get_submodule(backbone.last_layer)
    for prefix in (*backbone.unused_by_features, f"{backbone.last_layer}."):
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
        pytest.param("deit_tiny_distilled_patch16_224", "one last layer", id="two classifiers"),
    ],
)
def test_unusable_name_is_told(name: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        find_backbone(name)
