"""From stored pixels to feature maps, with random weights."""

import pytest
import torch
from synthetic.networks import pictures
from torchvision.transforms import functional as TF

from psol_ray.models import lite0
from psol_ray.models.backbones import IMAGENET_MEAN, IMAGENET_STD, find_backbone
from psol_ray.models.features import FeatureExtractor, Normalize
from psol_ray.models.weights import load_state


@pytest.fixture(scope="module")
def lite0_extractor() -> FeatureExtractor:
    backbone = find_backbone(lite0.BACKBONE)
    return FeatureExtractor(backbone, load_state(backbone, "random", for_features=True))


def test_normalize_is_torchvisions() -> None:
    images_NHWC = pictures(2, 9)
    expected = TF.normalize(images_NHWC.permute(0, 3, 1, 2) / 255, list(IMAGENET_MEAN), list(IMAGENET_STD))
    found = Normalize(IMAGENET_MEAN, IMAGENET_STD)(images_NHWC)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert Normalize(IMAGENET_MEAN, IMAGENET_STD).state_dict() == {}


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("vgg16", 448, (14, 14, 512)),
        ("vgg_gap", 224, (7, 7, 512)),
        ("resnet50", 448, (14, 14, 2048)),
        ("inception_v3", 299, (8, 8, 2048)),
        ("densenet161", 448, (14, 14, 2208)),
        ("tf_efficientnet_lite0", 448, (14, 14, 320)),
        ("vit_tiny_patch16_224", 224, (14, 14, 192)),
        ("vit_tiny_patch16_224", 448, (28, 28, 192)),
    ],
)
def test_every_backbone_gives_a_map(name: str, size: int, expected: tuple[int, ...]) -> None:
    with torch.device("meta"), torch.inference_mode():
        extract = FeatureExtractor(find_backbone(name), {})
        map_Nhwc = extract(torch.empty((3, size, size, 3), dtype=torch.uint8))
    assert map_Nhwc.shape == (3, *expected)
    assert map_Nhwc.dtype == torch.float32


def test_map_is_of_the_weights_given_and_is_frozen(lite0_extractor: FeatureExtractor) -> None:
    backbone = find_backbone(lite0.BACKBONE)
    state = {name: tensor * 2 for name, tensor in load_state(backbone, "random", for_features=True).items()}
    assert not lite0_extractor(pictures(1, 64)).equal(FeatureExtractor(backbone, state)(pictures(1, 64)))
    assert not lite0_extractor.training
    assert not any(parameter.requires_grad for parameter in lite0_extractor.parameters())


def test_map_of_an_image_depends_on_no_other_image_and_not_on_its_transpose(
    lite0_extractor: FeatureExtractor,
) -> None:
    images = pictures(3, 64)
    maps = lite0_extractor(images)
    torch.testing.assert_close(maps[1], lite0_extractor(images[1:2])[0], rtol=1e-4, atol=1e-5)
    assert not maps[1].allclose(lite0_extractor(images[1:2].transpose(1, 2))[0], rtol=1e-2)
