"""What this machine takes of a network, measured for a few seconds with random weights and pixels."""

import time
from collections.abc import Callable, Sequence

import torch

from psol_ray.images.decoder import make_decoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.device import autocast
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.forward import make_forward
from psol_ray.models.networks import PsolNetwork
from psol_ray.storage.addresses import Address

__all__ = ["decoding_rate", "device_name", "network_rate"]

_SECONDS = 3.0
_CPU_BATCH, _GPU_BATCH = 8, 64
_FEW_BATCHES = 2


def device_name() -> str | None:
    """The first GPU of this machine; None where there is none that works."""
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def network_rate(backbone: str, input_size: int, *, features_only: bool, training: bool) -> float:
    """Images a second that the network takes, on the first GPU or on all CPUs: its arithmetic alone.

    Args:
        backbone: see `find_backbone`.
        input_size: side of its input, in pixels.
        features_only: without the layers behind the feature map.
        training: with the backward pass.
    """
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    batch = _GPU_BATCH if device.type == "cuda" else _CPU_BATCH
    trunk = find_backbone(backbone)
    images_NHWC = torch.randint(0, 256, (batch, input_size, input_size, 3), dtype=torch.uint8, device=device)
    if features_only:
        extractor = FeatureExtractor(trunk, trunk.build().state_dict()).to(device)
        forward = make_forward(extractor, device, precision="auto", batch_size=batch, input_size=input_size)
    else:
        network = PsolNetwork(trunk, num_boxes=1, num_classes=None, for_training=False).to(device).train(training)

        def forward(images_NHWC: torch.Tensor) -> torch.Tensor:
            with autocast(device, "auto", training=training):
                return network(images_NHWC)[0]

    def step() -> None:
        with torch.set_grad_enabled(training):
            out = forward(images_NHWC)
        if training:
            network.zero_grad(set_to_none=True)
            out.float().sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return batch * _repeats(step)


def decoding_rate(paths: Sequence[Address], size: int, num_cpus: int) -> float:
    """Images a second that this machine reads and decodes with all its CPUs, and its GPU if there is one."""
    gpu = 0 if torch.cuda.is_available() else None
    decoder = make_decoder(size, len(paths), num_threads=num_cpus, gpu=gpu)
    return len(paths) * _repeats(lambda: decoder.decode(paths))


def _repeats(act: Callable[[], object]) -> float:
    """How often a second something can be done; the first time, when libraries choose their ways, does not count."""
    act()
    number, started = 0, time.monotonic()
    while number < _FEW_BATCHES or time.monotonic() - started < _SECONDS:
        act()
        number += 1
    return number / (time.monotonic() - started)
