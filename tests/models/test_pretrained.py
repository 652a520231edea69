"""Published classifiers, with their last layer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from psol_ray.errors import UserError
from psol_ray.models.backbones import find_backbone
from psol_ray.models.lite0 import BACKBONE, PACKAGE
from psol_ray.models.pretrained import PretrainedClassifier, imagenet_columns
from psol_ray.models.weights import load_classifier_state


def test_columns_are_found_by_wordnet_id() -> None:
    assert imagenet_columns(["n01440764", "n15075141", "n01443537"]) == [0, 999, 1]


def test_classes_of_other_data_are_refused() -> None:
    with pytest.raises(UserError, match=r"found 4 of 5 classes that are none of ImageNet-1k \(cat, dog, owl, …\)"):
        imagenet_columns(["cat", "dog", "n01440764", "owl", "n99999999"])


# The last three are of Table 4.
@pytest.mark.parametrize(
    "name",
    ["vgg16", "resnet50", "inception_v3", "densenet161", BACKBONE, "dpn131", "dpn107", "tf_efficientnet_b7.ra_in1k"],
)
def test_every_backbone_is_a_classifier_as_it_was_published(name: str) -> None:
    backbone = find_backbone(name)
    state = load_classifier_state(backbone, "random")
    network = PretrainedClassifier(backbone, state)
    side = 96 if name != "inception_v3" else 128
    images_NHWC = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    with torch.inference_mode():
        found = network(images_NHWC)
        with torch.device("meta"):  # nothing is drawn that is replaced anyway
            plain = backbone.build().eval()
        plain.load_state_dict(state, assign=True, strict=False)
        not_given = {name for name, tensor in plain.state_dict().items() if tensor.is_meta}
        assert all(name.startswith("AuxLogits.") for name in not_given)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (backbone.mean, backbone.std))
        expected = plain((images_NHWC.permute(0, 3, 1, 2) / 255 - mean) / std)
    assert found.boxes_NR4 is None
    assert found.logits_NK is not None
    assert found.logits_NK.shape == (2, 1000)
    torch.testing.assert_close(found.logits_NK, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["vgg_gap", "qwen3_vit_88m", "qwen3_vit_88m_enc"])
def test_some_have_no_classifier_of_their_own(name: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' has no classifier of its own; give vgg16"):
        load_classifier_state(find_backbone(name), "random")


def test_classifiers_of_other_classes_than_imagenet_s_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"found 11,221 outputs, expected the 1,000 of ImageNet-1k; give a model of timm"
    ):
        load_classifier_state(find_backbone("mobilenetv3_large_100.miil_in21k"), "random")


def test_weights_without_the_last_layer_are_refused(shared: Path) -> None:
    with pytest.raises(UserError, match=r"6 missing: classifier\.0\.weight"):
        load_classifier_state(find_backbone("vgg16"), str(shared / "weights/vgg16_features.safetensors"))


def test_knows_what_is_on_a_photograph(shared: Path) -> None:
    """Seven in ten of these images, says its publisher; chance would be one in a thousand."""
    backbone = find_backbone(BACKBONE)
    network = PretrainedClassifier(backbone, load_classifier_state(backbone, PACKAGE))
    folders = sorted((shared / "data/ILSVRC/Data/CLS-LOC/train").iterdir())
    images = [
        np.asarray(Image.open(sorted(folder.iterdir())[0]).convert("RGB").resize((224, 224))) for folder in folders
    ]
    with torch.inference_mode():
        logits_NK = network(torch.from_numpy(np.stack(images))).logits_NK
    assert logits_NK is not None
    expected = torch.tensor(imagenet_columns([folder.name for folder in folders]))
    assert (logits_NK.argmax(dim=1) == expected).float().mean() >= 0.6
