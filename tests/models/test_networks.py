"""The networks that PSOL trains: trunks, heads, and what they share."""

import pytest
import torch

from psol_ray.models import PsolNetwork, find_backbone, load_state
from psol_ray.models.backbones import TORCHVISION


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("vgg16", 4096),
        ("vgg_gap", 512),
        ("resnet50", 2048),
        ("inception_v3", 2048),
        ("densenet161", 2208),
        ("tf_efficientnet_lite0", 1280),
        ("vit_tiny_patch16_224", 192),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_every_backbone_carries_both_heads(name: str, width: int, training: bool) -> None:
    backbone = find_backbone(name)
    with torch.device("meta"):
        network = PsolNetwork(backbone, box=True, num_classes=7).train(training)
        size = backbone.input_size
        outputs = network(torch.empty((2, size, size, 3), dtype=torch.uint8))
    assert network.box_head is not None
    assert network.box_head[0].in_features == width
    assert outputs.boxes_N4.shape == (2, 4)
    assert outputs.logits_NK.shape == (2, 7)


@pytest.mark.parametrize(("box", "num_classes"), [(True, None), (False, 5), (True, 5)])
def test_network_has_the_heads_asked_for(box: bool, num_classes: int | None) -> None:
    network = PsolNetwork(find_backbone("tf_efficientnet_lite0"), box=box, num_classes=num_classes).eval()
    outputs = network(torch.zeros((1, 64, 64, 3), dtype=torch.uint8))
    assert (outputs.boxes_N4 is not None) is box
    assert (outputs.logits_NK is not None) is (num_classes is not None)
    heads = {id(p) for p in network.heads()}
    named = {name for name, p in network.named_parameters() if id(p) in heads}
    assert named == {name for name in network.state_dict() if name.startswith(("box_head.", "class_head."))}
    assert len(heads) == 4 * box + 2 * (num_classes is not None)


def test_boxes_are_fractions_whatever_the_features() -> None:
    network = PsolNetwork(find_backbone("tf_efficientnet_lite0"), box=True, num_classes=None).eval()
    assert network.box_head is not None
    boxes = network.box_head(torch.linspace(-1e4, 1e4, 1280)[None])
    assert ((boxes >= 0) & (boxes <= 1)).all()


def test_trunk_starts_from_the_weights_given() -> None:
    backbone = find_backbone("tf_efficientnet_lite0")
    state = load_state(backbone, "random", for_features=False)
    network = PsolNetwork(backbone, box=True, num_classes=None, state=state)
    trunk = network.trunk.state_dict()
    assert trunk.keys() == state.keys()
    assert all(trunk[name].equal(tensor) for name, tensor in state.items())


@pytest.mark.parametrize("name", TORCHVISION)
def test_pretrained_tensors_are_those_of_the_trunk(name: str) -> None:
    backbone = find_backbone(name)
    with torch.device("meta"):
        trunk = set(PsolNetwork(backbone, box=True, num_classes=None).trunk.state_dict())
        whole = set(backbone.build().state_dict())
    if name == "vgg_gap":  # its trunk is the convolutions alone, numbered anew
        assert len(trunk) == sum(tensor.startswith("features.") for tensor in whole)
    else:
        left_out = {tensor for tensor in whole if tensor.startswith((f"{backbone.last_layer}.", "AuxLogits."))}
        assert trunk == whole - left_out
