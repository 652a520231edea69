"""Where in an image a classifier sees a class: two ways of weighing the channels of its last map.

CAM (Zhou et al., CVPR 2016) takes the class's weights in the last layer, and is defined only where that layer works on
the mean of the map. Grad-CAM (Selvaraju et al., ICCV 2017, Sec. 3) takes the gradients of the class's logit, averaged
over the map, and keeps what is positive; where CAM exists, it is CAM's positive part over the number of cells.

Shape suffixes: N images of H x W pixels, C channels of the last map and h x w cells, K classes.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from psol_ray.errors import UserError
from psol_ray.models.backbones import Backbone, find_backbone
from psol_ray.models.libraries import load_torchvision
from psol_ray.models.networks import PsolNetwork
from psol_ray.models.saved import SavedNetwork

__all__ = ["ActivationMaps", "MapMethod"]

MapMethod = Literal["cam", "grad_cam"]
_Layers = Callable[[torch.Tensor], torch.Tensor]


class ActivationMaps:
    """The maps of one classifier: uint8 images `(N, H, W, 3)` and labels `(N,)` to float32 `(N, h, w)`.

    Not for `torch.inference_mode`, in which Grad-CAM has no gradients.
    """

    def __init__(self, saved: SavedNetwork, network: PsolNetwork, method: MapMethod) -> None:
        """Args:
        saved: what the network is.
        network: with a class head; it is frozen, and put into inference.
        method: CAM or Grad-CAM.

        Raises:
            UserError: the network has no such map.
        """
        assert network.heads.classes is not None, "the network has no class head"
        self._network = network.eval().requires_grad_(False)
        self._classes, self._method = network.heads.classes, method
        self._to_map, self._to_pooled = _split(network.trunk, find_backbone(saved.backbone))
        self._check(saved)

    def __call__(self, images_NHWC: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        """A map an image, higher where there is more of its label; on the network's device."""
        with torch.no_grad():
            map_NChw = self._to_map(self._network.normalize(images_NHWC))
            if self._method == "cam":
                return _weigh(map_NChw, self._classes.weight[labels_N])
        gradient_NChw = self._gradient(map_NChw, labels_N)
        return _weigh(map_NChw, gradient_NChw.mean((2, 3))).relu()

    def _gradient(self, map_NChw: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        """Of each image's logit of its label; nothing of the layers before the map is kept for it."""
        with torch.enable_grad():
            inputs_NChw = map_NChw.detach().requires_grad_()
            logits_NK = self._classes(self._to_pooled(inputs_NChw))
            # An image's logits depend on no other image, so the gradient of the sum is every image's own.
            wanted = logits_NK.gather(1, labels_N[:, None]).sum()
            (gradient_NChw,) = torch.autograd.grad(wanted, inputs_NChw)
        return gradient_NChw

    @torch.no_grad()
    def _check(self, saved: SavedNetwork) -> None:
        """Look at what the layers make of noise: timm's thousand networks are too many to know by name."""
        size = saved.input_size
        noise_NHWC = torch.randint(0, 256, (1, size, size, 3), generator=torch.Generator().manual_seed(0))
        images_NHWC = noise_NHWC.to(self._classes.weight.device, torch.uint8)
        map_NChw = self._to_map(self._network.normalize(images_NHWC))
        # Transformers give tokens, some of them lists of those, and some networks have their channels last.
        num_channels = getattr(self._network.trunk, "num_features", None)
        is_map = isinstance(map_NChw, torch.Tensor) and map_NChw.ndim == 4
        has_map = is_map and num_channels in (None, map_NChw.shape[1])
        pooled_NC = self._to_pooled(map_NChw) if has_map else map_NChw
        if not has_map or not _same(self._classes(pooled_NC), self._network(images_NHWC).logits_NK):
            raise UserError(
                f"backbone {saved.backbone!r}: found no feature map behind which only the classifier follows, which"
                " cam and grad_cam need; train a classifier of another backbone, such as vgg_gap or resnet50"
            )
        if self._method == "cam" and not _same(pooled_NC, map_NChw.mean((2, 3))):
            raise UserError(
                f"backbone {saved.backbone!r}: found layers between its last map and the class head, and cam needs the"
                " map's mean there; use grad_cam, or a classifier of backbone vgg_gap"
            )


def _weigh(map_NChw: torch.Tensor, weights_NC: torch.Tensor) -> torch.Tensor:
    return torch.einsum("nchw,nc->nhw", map_NChw, weights_NC)


def _same(a: torch.Tensor, b: torch.Tensor | None) -> bool:
    """Whether they differ by rounding only."""
    return b is not None and a.shape == b.shape and torch.allclose(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))


def _split(trunk: Any, backbone: Backbone) -> tuple[_Layers, _Layers]:
    """A trunk cut behind its last map: images `(N, 3, H, W)` to `(N, C, h, w)`, and that to what the heads take."""
    if backbone.pooled_by_gap:
        return trunk[0], trunk[1:]
    if backbone.feature_node is None:
        return trunk.forward_features, trunk.forward_head
    # A node and not a module: the last ReLU of DenseNet is a function.
    extractor = load_torchvision().models.feature_extraction.create_feature_extractor(
        trunk, {backbone.feature_node: "map"}, suppress_diff_warning=True
    )
    # DenseNet's pool is a function, too, and VGG16 has layers behind its own; of the others only the pool is left.
    pool = getattr(trunk, "avgpool", nn.AdaptiveAvgPool2d(1))
    behind = nn.Sequential(pool, nn.Flatten(), getattr(trunk, "classifier", nn.Identity()))
    return lambda x_NCHW: extractor(x_NCHW)["map"], behind
