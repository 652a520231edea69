"""Ways to run VGG16's convolutions: the project's own, and what fusing more of it would give. Inference only.

Every way is a function of bytes `(N, H, W, 3)` to features `(N, h, w, C)` in bfloat16, as the engine wants its network.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from measure import CUDA, DEVICE
from torch import nn
from torch.nn import functional as F

from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.forward import make_forward
from psol_ray.models.weights import load_state

__all__ = ["LAYER_WAYS", "Network", "layer_kernels", "make_extractor", "plain_network", "project_network", "ways"]

Network = Callable[[torch.Tensor], torch.Tensor]
Kernel = Callable[[torch.Tensor], torch.Tensor]


def make_extractor(weights: str, backbone: str = "vgg16") -> FeatureExtractor:
    """The project's network; `weights` is a file, or `random`."""
    network = find_backbone(backbone)
    return FeatureExtractor(network, load_state(network, weights, for_features=True)).to(DEVICE)


def plain_network(extractor: FeatureExtractor) -> Network:
    """Layer by layer."""

    def network(images_NHWC: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), torch.autocast(DEVICE.type, torch.bfloat16):
            return extractor(images_NHWC)

    return network


def project_network(extractor: FeatureExtractor, batch_size: int, size: int, *, compiled: bool = False) -> Network:
    """As DDT's worker has it; on a GPU a line on stderr says if it could not be fused."""
    return torch.no_grad()(
        make_forward(extractor, DEVICE, precision="bfloat16", batch_size=batch_size, input_size=size, compiled=compiled)
    )


def layer_kernels(way: str, convolution: nn.Conv2d, pool: bool) -> Kernel:
    """A convolution of `(N, C, H, W)`, channels last, with bias, ReLU, and its pool where it has one.

    Args:
        way: `eager` (four kernels), `finish` (cuDNN, then one Triton kernel), `cudnn` (bias and ReLU in cuDNN's), or
            `triton` (one kernel for all).
        convolution: of the network.
        pool: whether a 2 x 2 pool follows.
    """
    weight = convolution.weight.detach().bfloat16().contiguous(memory_format=torch.channels_last)
    bias = _bias(convolution)
    small = bias.bfloat16()
    if way == "eager":

        def eager(x: torch.Tensor) -> torch.Tensor:
            y = F.conv2d(x, weight, small, padding=1).relu_()
            return F.max_pool2d(y, 2) if pool else y

        return eager
    # Late: only a GPU has Triton.
    from conv_triton import conv, pack
    from finish_triton import finish

    if way == "finish":
        return lambda x: _first_last(finish(_last(F.conv2d(x, weight, None, padding=1)), bias, pool=pool))
    if way == "cudnn":

        def cudnn(x: torch.Tensor) -> torch.Tensor:
            y = torch.cudnn_convolution_relu(x, weight, small, (1, 1), (1, 1), (1, 1), 1)
            return _first_last(finish(_last(y), None, pool=True)) if pool else y

        return cudnn
    matrix, bias32 = pack(weight), bias.float()
    return lambda x: _first_last(conv(_last(x), matrix, bias32, pool=pool))


LAYER_WAYS = ("eager", "finish", "cudnn", "triton")


def ways(
    extractor: FeatureExtractor, batch_size: int, size: int, best: Sequence[str] | None = None
) -> dict[str, Callable[[], Network]]:
    """Makers of networks by what they are called; a maker may raise, or take its time.

    Args:
        extractor: of VGG16.
        batch_size: of the project's own.
        size: side of the images in pixels.
        best: the fastest way of each layer but the first, where that is known.
    """
    made: dict[str, Callable[[], Network]] = {
        "project": lambda: project_network(extractor, batch_size, size),
        "layer by layer": lambda: plain_network(extractor),
    }
    if CUDA:
        for way in LAYER_WAYS[1:]:
            made[f"all {way}"] = partial(_assembled, extractor, [way] * 12)
        if best:
            made["best of each layer"] = lambda: _assembled(extractor, best)
    # Last, since it takes longest to start.
    made["project, compiled"] = lambda: project_network(extractor, batch_size, size, compiled=True)
    return made


def _assembled(extractor: FeatureExtractor, of_layers: Sequence[str]) -> Network:
    """The first layer from bytes in Triton, each other one in its own way."""
    from conv_triton import first, pack

    modules = list(extractor.modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    pooled = [i in (1, 3, 6, 9, 12) for i in range(len(convolutions))]
    weight, bias = pack(convolutions[0].weight.detach()), _bias(convolutions[0]).float()
    mean, std = (tensor.reshape(3).float() for tensor in (extractor.normalize.mean, extractor.normalize.std))
    kernels = [layer_kernels(way, c, p) for way, c, p in zip(of_layers, convolutions[1:], pooled[1:], strict=True)]

    @torch.no_grad()
    def network(images_NHWC: torch.Tensor) -> torch.Tensor:
        x = _first_last(first(images_NHWC, weight, bias, mean, std))
        for kernel in kernels:
            x = kernel(x)
        return _last(x)

    return network


def _bias(convolution: nn.Conv2d) -> torch.Tensor:
    assert convolution.bias is not None
    return convolution.bias.detach()


def _last(x_NCHW: torch.Tensor) -> torch.Tensor:
    return x_NCHW.permute(0, 2, 3, 1)


def _first_last(x_NHWC: torch.Tensor) -> torch.Tensor:
    return x_NHWC.permute(0, 3, 1, 2)
