"""The networks that PSOL trains: trunks, heads, and what they share."""

import pytest
import torch

from psol_ray.models.backbones import TORCHVISION, find_backbone
from psol_ray.models.networks import Outputs, PsolNetwork
from psol_ray.models.weights import load_state

SIDE_BRANCH = "inception_v3"


def pictures(number: int, size: int) -> torch.Tensor:
    """On the device of the context, which may be `meta`."""
    return torch.randint(0, 256, (number, size, size, 3), dtype=torch.uint8)


def shapes(outputs: Outputs) -> tuple[tuple[int, ...] | None, ...]:
    return tuple(None if tensor is None else tuple(tensor.shape) for tensor in outputs[:2])


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
        ("resnetv2_18", 512),  # its last layer is a convolution
        ("deit_tiny_distilled_patch16_224", 192),  # it has two of them
        ("qwen3_vit_88m", 768),  # it has none
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_every_backbone_carries_both_heads(name: str, width: int, training: bool) -> None:
    backbone = find_backbone(name)
    with torch.device("meta"):
        network = PsolNetwork(backbone, num_boxes=1, num_classes=7, for_training=training).train(training)
        outputs = network(pictures(2, backbone.input_size))
    assert network.heads.box is not None
    assert network.heads.box[0].in_features == width
    assert shapes(outputs) == ((2, 1, 4), (2, 7))
    assert (outputs.auxiliary is not None) == (training and name == SIDE_BRANCH)


@pytest.mark.parametrize("num_boxes", [0, 1, 5], ids=["no box", "one box", "a box for each class"])
@pytest.mark.parametrize("num_classes", [None, 5])
def test_network_has_the_heads_asked_for(num_boxes: int, num_classes: int | None) -> None:
    backbone = find_backbone("test_resnet")
    network = PsolNetwork(backbone, num_boxes=num_boxes, num_classes=num_classes).eval()
    assert shapes(network(pictures(3, 64))) == (
        (3, num_boxes, 4) if num_boxes else None,
        (3, 5) if num_classes is not None else None,
    )
    added = {id(p) for p in network.added_parameters()}
    named = {name for name, p in network.named_parameters() if id(p) in added}
    assert named == {name for name in network.state_dict() if name.startswith("heads.")}
    assert len(added) == 4 * (num_boxes > 0) + 2 * (num_classes is not None)


def test_boxes_are_fractions_whatever_the_features() -> None:
    network = PsolNetwork(find_backbone("tf_efficientnet_lite0"), num_boxes=3, num_classes=None).eval()
    boxes = network.heads(torch.linspace(-1e4, 1e4, 1280)[None]).boxes_NR4
    assert boxes.shape == (1, 3, 4)
    assert ((boxes >= 0) & (boxes <= 1)).all()


def test_box_of_a_class_is_four_numbers_beside_each_other_of_the_last_layer() -> None:
    network = PsolNetwork(find_backbone("test_resnet"), num_boxes=3, num_classes=None)
    last = network.heads.box[-1]
    torch.nn.init.zeros_(last.weight)
    last.bias.data = torch.arange(12.0)
    boxes = network.eval()(pictures(2, 64)).boxes_NR4
    torch.testing.assert_close(boxes, torch.arange(12.0).sigmoid().view(1, 3, 4).expand(2, 3, 4))


class TestSideBranch:
    """Inception's, which no other backbone has."""

    @pytest.mark.parametrize(("num_boxes", "num_classes"), [(1, None), (0, 5), (1, 5), (5, 5)])
    def test_says_the_same_things_in_training_and_nothing_else(self, num_boxes: int, num_classes: int | None) -> None:
        backbone = find_backbone(SIDE_BRANCH)
        with torch.device("meta"):
            network = PsolNetwork(backbone, num_boxes=num_boxes, num_classes=num_classes, for_training=True)
            in_training = network.train()(pictures(2, backbone.input_size))
            otherwise = network.eval()(pictures(2, backbone.input_size))
        assert in_training.auxiliary is not None
        assert shapes(in_training.auxiliary) == shapes(in_training) == shapes(otherwise)
        assert in_training.auxiliary.auxiliary is None
        assert otherwise.auxiliary is None

    def test_its_heads_are_added_and_its_convolutions_are_not(self) -> None:
        with torch.device("meta"):
            network = PsolNetwork(find_backbone(SIDE_BRANCH), num_boxes=1, num_classes=5, for_training=True)
        added = {id(p) for p in network.added_parameters()}
        named = {name for name, p in network.named_parameters() if id(p) in added}
        assert named == {n for n, _ in network.named_parameters() if n.startswith(("heads.", "auxiliary_heads."))}
        assert any(name.startswith("trunk.AuxLogits.conv0.") for name in network.state_dict())

    @pytest.mark.parametrize("name", [SIDE_BRANCH, "resnet50"])
    def test_weights_are_those_of_a_network_without_it(self, name: str) -> None:
        with torch.device("meta"):
            trained, plain = (
                PsolNetwork(find_backbone(name), num_boxes=1, num_classes=5, for_training=for_training)
                for for_training in (True, False)
            )
        assert trained.weights().keys() == plain.weights().keys() == plain.state_dict().keys()
        assert (trained.state_dict().keys() == plain.state_dict().keys()) == (name != SIDE_BRANCH)

    def test_network_without_it_can_still_be_put_into_training(self) -> None:
        with torch.device("meta"):
            network = PsolNetwork(find_backbone(SIDE_BRANCH), num_boxes=1, num_classes=5).train()
            outputs = network(pictures(2, 75))
        assert outputs.auxiliary is None


@pytest.mark.parametrize(
    ("name", "size", "device"),
    [
        ("vgg16", 224, "meta"),
        ("vgg_gap", 224, "meta"),
        ("resnet50", 64, "cpu"),
        ("inception_v3", 299, "cpu"),  # the smallest with which a 5 x 5 kernel fits into its side branch
        ("densenet161", 224, "meta"),
        ("tf_efficientnet_lite0", 64, "cpu"),
    ],
)
def test_every_parameter_gets_a_gradient(name: str, size: int, device: str) -> None:
    # One that gets none makes DistributedDataParallel stop at the second step.
    with torch.device(device):
        network = PsolNetwork(find_backbone(name), num_boxes=3, num_classes=3, for_training=True).train()
        outputs = network(pictures(2, size))
    said = [*outputs[:2], *(outputs.auxiliary[:2] if outputs.auxiliary is not None else ())]
    torch.stack([tensor.square().sum() for tensor in said]).sum().backward()
    gradients = {n: p.grad for n, p in network.named_parameters() if p.requires_grad}
    assert [n for n, gradient in gradients.items() if gradient is None] == []
    if device == "cpu":
        assert all(gradient.isfinite().all() for gradient in gradients.values())
        assert all(gradient.any() for n, gradient in gradients.items() if "heads." in n)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", SIDE_BRANCH])
def test_trunk_starts_from_the_weights_given(name: str) -> None:
    backbone = find_backbone(name)
    state = load_state(backbone, "random", for_features=False)
    network = PsolNetwork(backbone, num_boxes=1, num_classes=None, state=state, for_training=True)
    trunk = network.trunk.state_dict()
    assert trunk.keys() == state.keys()
    assert all(trunk[tensor].equal(value) for tensor, value in state.items())


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.parametrize("for_training", [True, False])
def test_pretrained_tensors_are_those_of_the_trunk(name: str, for_training: bool) -> None:
    backbone = find_backbone(name)
    with torch.device("meta"):
        network = PsolNetwork(backbone, num_boxes=1, num_classes=None, for_training=for_training)
        trunk = set(network.trunk.state_dict())
        whole = set(backbone.build().state_dict())
    if name == "vgg_gap":  # its trunk is the convolutions alone, numbered anew
        assert len(trunk) == sum(tensor.startswith("features.") for tensor in whole)
    else:
        replaced = (f"{backbone.last_layers[0]}.", "AuxLogits.fc." if for_training else "AuxLogits.")
        assert trunk == {tensor for tensor in whole if not tensor.startswith(replaced)}
