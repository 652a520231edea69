"""Class maps of networks with random weights, and of one that is small enough for a sum by hand."""

from collections.abc import Callable

import pytest
import torch
from synthetic.networks import pictures
from torch import nn

from psol_ray.errors import UserError
from psol_ray.generators.class_maps.maps import ActivationMaps
from psol_ray.models.backbones import TORCHVISION, find_backbone
from psol_ray.models.networks import PsolNetwork
from psol_ray.models.saved import SavedNetwork

LABELS_N = torch.tensor([1, 4])


NetworkOf = Callable[[str, int], tuple[SavedNetwork, PsolNetwork]]


@pytest.fixture(scope="module")
def network_of() -> NetworkOf:
    """A classifier of five classes whose map is not all zero, and differs from class to class; each is built once."""
    networks: dict[str, PsolNetwork] = {}

    def network_of(name: str, size: int) -> tuple[SavedNetwork, PsolNetwork]:
        saved = SavedNetwork(name, size, num_boxes=0, num_classes=5)
        if name not in networks:
            torch.manual_seed(0)
            networks[name] = saved.build()
            for module in networks[name].modules():
                # Inception's weights are not drawn at all, and VGG's as they come vanish over 13 layers.
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        return saved, networks[name]

    return network_of


@pytest.fixture(scope="module")
def by_hand() -> tuple[SavedNetwork, PsolNetwork]:
    """VGG-GAP whose convolutions are replaced: its map is (red, green) of each pixel."""
    saved = SavedNetwork("vgg_gap", 2, num_boxes=0, num_classes=2)
    network = PsolNetwork(find_backbone("vgg_gap"), num_boxes=0, num_classes=2)
    network.normalize = _Red()
    network.trunk[0] = nn.Identity()
    network.heads.classes = nn.Linear(2, 2)
    network.heads.classes.weight.data = torch.tensor([[1.0, 0.0], [-1.0, 2.0]])
    network.heads.classes.bias.data = torch.tensor([100.0, -100.0])
    return saved, network


class _Red(nn.Module):
    def forward(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        return images_NHWC.permute(0, 3, 1, 2)[:, :2].float()


# (red, green) of the four pixels of an image.
PIXELS = torch.tensor([[[3, 0, 0], [0, 4, 0]], [[5, 1, 0], [2, 2, 0]]], dtype=torch.uint8)


@pytest.mark.parametrize(
    ("method", "label", "expected"),
    [
        pytest.param("cam", 0, [[3, 0], [5, 2]], id="weights 1, 0"),
        pytest.param("cam", 1, [[-3, 8], [-3, 2]], id="weights -1, 2; the bias plays no part"),
        # The mean gradient of a mean of four cells is a fourth of the weight.
        pytest.param("grad_cam", 0, [[0.75, 0], [1.25, 0.5]], id="a fourth of it"),
        pytest.param("grad_cam", 1, [[0, 2], [0, 0.5]], id="a fourth, what is negative cut off"),
    ],
)
def test_map_by_hand(
    by_hand: tuple[SavedNetwork, PsolNetwork], method: str, label: int, expected: list[list[float]]
) -> None:
    maps = ActivationMaps(*by_hand, method)
    # Its neighbour in the batch is of another label.
    found = maps(torch.stack([PIXELS, PIXELS]), torch.tensor([label, 1 - label]))
    assert found.dtype == torch.float32
    assert found[0].tolist() == expected


@pytest.mark.parametrize("name", ["vgg_gap", "resnet50", "tf_efficientnet_lite0"])
def test_cam_is_the_weighed_map_and_grad_cam_its_positive_part(network_of: NetworkOf, name: str) -> None:
    saved, network = network_of(name, 96)
    images_NHWC = pictures(2, 96)
    cam_Nhw = ActivationMaps(saved, network, "cam")(images_NHWC, LABELS_N)
    # What the class head makes of the map's mean is the mean of CAM, and the bias.
    with torch.no_grad():
        logits_NK = network(images_NHWC).logits_NK
    expected_N = logits_NK[[0, 1], LABELS_N] - network.heads.classes.bias[LABELS_N]
    torch.testing.assert_close(cam_Nhw.mean((1, 2)), expected_N, rtol=1e-3, atol=1e-4)

    grad_cam_Nhw = ActivationMaps(saved, network, "grad_cam")(images_NHWC, LABELS_N)
    assert (cam_Nhw.std((1, 2)) > 0).all()
    torch.testing.assert_close(grad_cam_Nhw, cam_Nhw.relu() / cam_Nhw[0].numel(), rtol=1e-3, atol=1e-5)
    assert grad_cam_Nhw.max() > 0


@pytest.mark.parametrize("name", [*TORCHVISION, "tf_efficientnet_lite0"])
def test_gradients_are_those_of_the_whole_network(network_of: NetworkOf, name: str) -> None:
    size, side = (139, 3) if name == "inception_v3" else (64, 2)
    saved, network = network_of(name, size)
    images_NHWC = pictures(2, size)
    maps = ActivationMaps(saved, network, "grad_cam")
    found = maps(images_NHWC, LABELS_N)
    assert found.shape == (2, side, side)
    assert found.max() > 0

    # By the network's own forward pass, cut nowhere, from the map to the logits of the label.
    kept: list[torch.Tensor] = []
    module = {"vgg_gap": "0", "tf_efficientnet_lite0": "bn2", "densenet161": "features.norm5"}.get(
        name, find_backbone(name).feature_node
    )
    hook = network.trunk.get_submodule(module).register_forward_hook(lambda _, __, output: kept.append(output))
    network.requires_grad_(True)
    logits_NK = network(images_NHWC).logits_NK
    hook.remove()
    # DenseNet's ReLU works in place: what the hook has kept is its output by now.
    (map_NChw,) = kept
    (gradient_NChw,) = torch.autograd.grad(logits_NK[[0, 1], LABELS_N].sum(), map_NChw)
    expected = (gradient_NChw.mean((2, 3), keepdim=True) * map_NChw).sum(1).relu().detach()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.max()))


@pytest.mark.parametrize("name", ["inception_v3", "densenet161"])
def test_cam_exists_where_the_map_is_averaged(network_of: NetworkOf, name: str) -> None:
    saved, network = network_of(name, 139)
    assert ActivationMaps(saved, network, "cam")(pictures(2, 139), LABELS_N).std() > 0


@pytest.mark.parametrize("name", ["vgg16", "mobilenetv3_small_050", "convnext_atto"])
def test_cam_is_refused_where_layers_follow_the_map(network_of: NetworkOf, name: str) -> None:
    saved, network = network_of(name, 64)
    with pytest.raises(UserError, match=f"'{name}': found layers between .* use grad_cam, or .* vgg_gap"):
        ActivationMaps(saved, network, "cam")
    assert ActivationMaps(saved, network, "grad_cam")(pictures(2, 64), LABELS_N).shape == (2, 2, 2)


@pytest.mark.parametrize("name", ["test_vit", "swin_tiny_patch4_window7_224", "coat_tiny"])
@pytest.mark.parametrize("method", ["cam", "grad_cam"])
def test_networks_without_a_map_are_refused(network_of: NetworkOf, name: str, method: str) -> None:
    saved, network = network_of(name, find_backbone(name).input_size)
    with pytest.raises(UserError, match="found no feature map"):
        ActivationMaps(saved, network, method)


def test_nothing_is_kept_of_the_layers_before_the_map(network_of: NetworkOf) -> None:
    saved, network = network_of("test_resnet", 64)
    maps = ActivationMaps(saved, network, "grad_cam")
    found = maps(pictures(2, 64), LABELS_N)
    assert not found.requires_grad
    assert not network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    # Dropout and batch statistics off, and no image depends on another.
    torch.testing.assert_close(maps(pictures(2, 64)[1:], LABELS_N[1:]), found[1:], rtol=1e-4, atol=1e-5)
