"""How a network's tensors lie in memory: channels last, which is faster on GPUs and CPUs alike."""

import torch
from torch import nn

__all__ = ["channels_last"]

_FEW_CHANNELS = 16


def channels_last(network: nn.Module) -> None:
    """Lay a network out channels last, but for convolutions whose backward pass on a CPU breaks on that.

    Those of 1 x 1 pixels with a stride and few input channels (in the stems of MobileOne, FastViT, RepVGG) write past
    the end of their memory in torch 2.15: the process dies of it, then or later.
    """
    network.to(memory_format=torch.channels_last)
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        if layer.kernel_size == (1, 1) and layer.stride != (1, 1) and layer.in_channels < _FEW_CHANNELS:
            # `to` would leave it: with one pixel both layouts are the same, but for the strides that torch goes by.
            layer.weight.data = layer.weight.data.clone(memory_format=torch.contiguous_format)
            layer.register_forward_pre_hook(_contiguous_input)


def _contiguous_input(_layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(tensor.contiguous() for tensor in inputs)
