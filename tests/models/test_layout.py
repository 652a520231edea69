"""The layout of networks in memory."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from psol_ray.models.layout import channels_last

# In a process of its own, which dies where memory is written past its end.
TRAIN = """
import torch
from torch import nn
from psol_ray.models.layout import channels_last

torch.manual_seed(0)
plain = nn.Conv2d({channels}, 48, 1, 2)
layer = nn.Sequential(nn.Conv2d({channels}, 48, 1, 2))
layer[0].load_state_dict(plain.state_dict())
channels_last(layer)
for _ in range(4):
    images = torch.rand(2, {channels}, 96, 96)
    for network, given in ((plain, images), (layer, images.to(memory_format=torch.channels_last))):
        network.zero_grad()
        network(given).square().mean().backward()
    torch.testing.assert_close(layer[0].weight.grad, plain.weight.grad)
    others = [torch.rand(100 + 37 * i) for i in range(200)]
print("whole")
"""


@pytest.mark.parametrize("channels", [3, 8])
def test_small_strided_convolutions_are_trained(channels: int) -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN.format(channels=channels)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr[-2000:]


def test_other_layers_have_their_channels_last() -> None:
    network = nn.Sequential(nn.Conv2d(3, 32, 3, 2), nn.Conv2d(32, 48, 1, 2))
    channels_last(network)
    for layer in network:
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)
        assert not layer._forward_pre_hooks
