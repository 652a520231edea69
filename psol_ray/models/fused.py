"""A convolutional network in bfloat16 that moves what it must: bias, sum and ReLU inside the convolutions before them.

Run layer by layer, VGG16 moves 740 MB an image where its convolutions need 181, for bias, ReLU and pool each read and
write every output again; a GPU would wait for its memory half of the time. Here batch normalisation becomes part of the
weights, cuDNN's convolution does what follows it before anything is written, and the first one takes the stored bytes.

Works on what torch.fx has traced. On a CPU the same operations run one by one, with the same roundings: the reference.
"""

import copy
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse as fold_batch_norms
from torch.nn import functional as F

__all__ = ["FusedConvolution", "MaxPool", "Pool", "Stem", "fuse"]

Pair = tuple[int, int]
MaxPool = Callable[[torch.Tensor, Pair, Pair, Pair], torch.Tensor]

_RELUS = (F.relu, torch.relu, F.relu_)
_SUMS = (operator.add, operator.iadd, torch.add)


def fuse(traced: fx.GraphModule, mean: torch.Tensor, std: torch.Tensor, pool: MaxPool) -> nn.Module | None:
    """The same network from uint8 `(N, H, W, 3)`, in bfloat16 and inference mode; its weights are copied.

    Args:
        traced: takes normalised images `(N, 3, H, W)`, in inference mode.
        mean, std: what a pixel is normalised with, in [0, 255].
        pool: makes the maximum pools, of maps, kernel, stride and padding.

    Returns:
        None where the images do not go into a convolution first, and nowhere else.
    """
    # A copy of a traced network is in training mode, whatever the original is in.
    graph_module: Any = fold_batch_norms(copy.deepcopy(traced).eval(), inplace=True, no_trace=True)
    (images,) = (node for node in graph_module.graph.nodes if node.op == "placeholder")
    first = _only_user(images)
    convolution = None if first is None else _module(graph_module, first)
    if first is None or not isinstance(convolution, nn.Conv2d):
        return None
    _Rewriter(graph_module, pool).rewrite()
    fused = graph_module.get_submodule(str(first.target))
    if not isinstance(fused, FusedConvolution) or convolution.groups > 1:
        return None
    graph_module.set_submodule(str(first.target), Stem(fused, convolution.weight, mean, std))
    graph_module.graph.lint()
    graph_module.recompile()
    return graph_module.eval().requires_grad_(False)


class FusedConvolution(nn.Module):
    """A convolution with its bias, then the sum with another map where one is given, then ReLU; all in bfloat16."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, convolution: nn.Conv2d, *, relu: bool) -> None:
        super().__init__()
        bias = torch.zeros(convolution.out_channels) if convolution.bias is None else convolution.bias.detach()
        self.register_buffer("weight", _packed(convolution.weight.detach()), persistent=False)
        self.register_buffer("bias", bias.bfloat16().to(convolution.weight.device), persistent=False)
        self._geometry: Any = (convolution.stride, convolution.padding, convolution.dilation, convolution.groups)
        self.relu = relu

    def forward(self, x_NCHW: torch.Tensor, sum_NCHW: torch.Tensor | None = None) -> torch.Tensor:
        if not self.relu:
            return F.conv2d(x_NCHW, self.weight, self.bias, *self._geometry)
        if x_NCHW.is_cuda and sum_NCHW is None:
            return torch.cudnn_convolution_relu(x_NCHW, self.weight, self.bias, *self._geometry)
        if x_NCHW.is_cuda and sum_NCHW is not None:
            return torch.cudnn_convolution_add_relu(x_NCHW, self.weight, sum_NCHW, 1.0, self.bias, *self._geometry)
        out_NCHW = F.conv2d(x_NCHW, self.weight, self.bias, *self._geometry)
        return F.relu_(out_NCHW if sum_NCHW is None else out_NCHW + sum_NCHW)


# Channels of a pixel as the first convolution gets it: 16 bytes, which tensor cores' kernels read in one piece.
_STEM_CHANNELS = 8


class Stem(nn.Module):
    """The first convolution, from stored bytes: normalisation is part of its weights.

    A byte is exact in bfloat16. What the mean takes away is the weight of a channel that is one inside the image, and
    nothing where the image is padded: there a normalised image is zero, too. That weight is as exact as three values of
    bfloat16 can make it, and made of the other weights as they were rounded, so that an image of the mean gives zero.
    """

    def __init__(
        self, convolution: FusedConvolution, weight_K3hw: torch.Tensor, mean: torch.Tensor, std: torch.Tensor
    ) -> None:
        """`weight_K3hw` is that of the convolution before it was rounded."""
        super().__init__()
        weight_K3hw = weight_K3hw.detach().double() / std.double().view(3, 1, 1)
        rounded_K3hw = weight_K3hw.bfloat16().double()
        shift_K1hw = -(rounded_K3hw * mean.double().view(3, 1, 1)).sum(dim=1, keepdim=True)
        parts = []
        for _ in range(3):
            parts.append(shift_K1hw.bfloat16().double())
            shift_K1hw = shift_K1hw - parts[-1]
        used_K6hw = torch.cat([rounded_K3hw, *parts], dim=1)
        padding_K2hw = used_K6hw.new_zeros(len(used_K6hw), _STEM_CHANNELS - 6, *used_K6hw.shape[2:])
        convolution.weight = _packed(torch.cat([used_K6hw, padding_K2hw], dim=1))
        self.convolution = convolution
        self._pixels: torch.Tensor | None = None

    def forward(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        shape = (*images_NHWC.shape[:3], _STEM_CHANNELS)
        if self._pixels is None or self._pixels.shape != shape or self._pixels.device != images_NHWC.device:
            self._pixels = torch.zeros(shape, dtype=torch.bfloat16, device=images_NHWC.device)
            self._pixels[..., 3:6] = 1
        self._pixels[..., :3] = images_NHWC
        return self.convolution(self._pixels.permute(0, 3, 1, 2))


class Pool(nn.Module):
    """A maximum pool that need not know where the maxima were.

    PyTorch's writes that on a GPU, eight bytes a value, which nobody reads: as much as the map itself.
    """

    def __init__(self, pool: nn.MaxPool2d, make: MaxPool) -> None:
        super().__init__()
        self._make = make
        self._geometry = _pair(pool.kernel_size), _pair(pool.stride or pool.kernel_size), _pair(pool.padding)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        return self._make(x_NCHW, *self._geometry)


class _Rewriter:
    """Puts what can be fused in the place of a traced network's modules."""

    def __init__(self, graph_module: fx.GraphModule, pool: MaxPool) -> None:
        self._graph_module, self._graph, self._pool = graph_module, graph_module.graph, pool

    def rewrite(self) -> None:
        for node in list(self._graph.nodes):
            module = _module(self._graph_module, node)
            if isinstance(module, nn.Conv2d) and module.padding_mode == "zeros" and not isinstance(module.padding, str):
                self._fuse(node, module)
            elif isinstance(module, nn.MaxPool2d) and _is_plain(module):
                self._graph_module.set_submodule(str(node.target), Pool(module, self._pool))
            elif node.op == "call_function" and node.target in (F.max_pool2d, torch.max_pool2d):
                self._replace_pool(node)
        self._graph.eliminate_dead_code()

    def _fuse(self, node: fx.Node, convolution: nn.Conv2d) -> None:
        after = _only_user(node)
        other = None
        if after is not None and after.op == "call_function" and after.target in _SUMS and len(after.args) == 2:
            left, right = after.args
            last = _only_user(after)
            if last is not None and self._is_relu(last) and left is not right:
                other, after = (right if left is node else left), last
        relu = after is not None and self._is_relu(after)
        self._graph_module.set_submodule(str(node.target), FusedConvolution(convolution, relu=relu))
        if relu and after is not None:
            with self._graph.inserting_before(after):
                arguments = (node.args[0],) if other is None else (node.args[0], other)
                fused = self._graph.call_module(str(node.target), arguments)
            after.replace_all_uses_with(fused)
            self._graph.erase_node(after)
            self._graph.eliminate_dead_code()

    def _is_relu(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(_module(self._graph_module, node), nn.ReLU)
        return (node.op == "call_function" and node.target in _RELUS) or (
            node.op == "call_method" and node.target in ("relu", "relu_")
        )

    def _replace_pool(self, node: fx.Node) -> None:
        options: Any = (node.args[1:], node.kwargs)
        pool = nn.MaxPool2d(*options[0], **options[1])
        if _is_plain(pool):
            name = f"pool_{node.name}"
            self._graph_module.add_submodule(name, Pool(pool, self._pool))
            with self._graph.inserting_before(node):
                node.replace_all_uses_with(self._graph.call_module(name, (node.args[0],)))


def _module(graph_module: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return graph_module.get_submodule(str(node.target)) if node.op == "call_module" else None


def _only_user(node: fx.Node) -> fx.Node | None:
    users = list(node.users)
    return users[0] if len(users) == 1 else None


def _is_plain(pool: nn.MaxPool2d) -> bool:
    return not pool.return_indices and not pool.ceil_mode and _pair(pool.dilation) == (1, 1)


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else tuple(value)


def _packed(weight: torch.Tensor) -> torch.Tensor:
    return weight.bfloat16().contiguous(memory_format=torch.channels_last)
