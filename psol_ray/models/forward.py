"""How DDT's network runs on a device: on a GPU fused, if that gives the plain network's features there."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from psol_ray.log import say
from psol_ray.models.device import autocast
from psol_ray.models.features import Extract, FeatureExtractor
from psol_ray.models.precision import Precision

__all__ = ["choose", "full_batches", "make_forward"]

Candidate = tuple[str, Callable[[], Extract]]
"""What to call it, and how to make it."""

# Images whose features are computed in float32, to know how much bfloat16 rounds.
_COMPARED = 8
# Of the plain network's own distance from float32; another order of sums gave 0.8 to 1.3.
_TOLERANCE = 2.0
# Bytes of NaN before a candidate's first batch, at most.
_POISON = 8 << 30


def make_forward(
    extractor: FeatureExtractor,
    device: torch.device,
    *,
    precision: Precision,
    batch_size: int,
    input_size: int,
    compiled: bool = False,
) -> Extract:
    """The extractor in the precision asked for, as fast as it can be.

    Args:
        extractor: on the device.
        device: a GPU or a CPU.
        precision: see `autocast`.
        batch_size: the most images in a batch; on a GPU the network sees no other number.
        input_size: side of the images in pixels.
        compiled: have TorchInductor make the network, instead of fusing it here; takes up to a minute.
    """

    def plain(images_NHWC: torch.Tensor) -> torch.Tensor:
        with autocast(device, precision):
            return extractor(images_NHWC)

    if compiled:
        return full_batches(torch.compile(plain, dynamic=False, options={"freezing": True}), batch_size)
    if device.type != "cuda":
        return plain
    forward: Extract = plain
    if precision != "float32" and (candidates := _candidates(extractor)):
        forward = choose(candidates, plain, extractor, _made_up(batch_size, input_size, device))
        # What the losers needed is the classes' memory.
        torch.cuda.empty_cache()
    return full_batches(forward, batch_size)


def full_batches(forward: Extract, batch_size: int) -> Extract:
    """Fills smaller batches up with black images, whose features are dropped.

    For another shape a network would be compiled anew, and cuDNN choose another algorithm, whose last digits differ.
    """

    def forward_full(images_NHWC: torch.Tensor) -> torch.Tensor:
        missing = batch_size - len(images_NHWC)
        padded_NHWC = nn.functional.pad(images_NHWC, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else images_NHWC
        return forward(padded_NHWC)[: len(images_NHWC)]

    return forward_full


def _candidates(extractor: FeatureExtractor) -> Sequence[Candidate]:
    """The fastest first; empty where it is not known how to fuse the network."""
    fused = extractor.fused(nn.functional.max_pool2d)
    if fused is None:
        return ()

    def with_own_pools() -> Extract:
        # Late: only a GPU has Triton.
        from psol_ray.models.triton_pool import triton_max_pool

        found = extractor.fused(triton_max_pool)
        assert found is not None
        return found

    return (("fused, with pools of our own", with_own_pools), ("fused, with PyTorch's pools", lambda: fused))


@torch.no_grad()
def choose(candidates: Sequence[Candidate], plain: Extract, exact: Extract, images_NHWC: torch.Tensor) -> Extract:
    """The first candidate that gives the plain network's features, within bfloat16's own rounding; else the plain one.

    What does not, or cannot run at all, costs a line.

    Args:
        candidates: the fastest first.
        plain: the network in bfloat16.
        exact: the network in float32.
        images_NHWC: a full batch, uint8.
    """
    expected = exact(images_NHWC[:_COMPARED])
    of_plain = plain(images_NHWC)
    rounding = _distance(of_plain[:_COMPARED], expected)
    for name, make in candidates:
        try:
            forward = make()
            _poison(images_NHWC.device)
            found = forward(images_NHWC)
            distance, from_plain = _distance(found[:_COMPARED], expected), _distance(found, of_plain)
        except Exception as error:  # of a library for want of a compiler, of cuDNN, of Triton
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            # Written so that NaN is no agreement.
            if distance <= _TOLERANCE * rounding and from_plain <= 2 * _TOLERANCE * rounding:
                return forward
            reason = (
                f"features {distance:.2g} and {from_plain:.2g} off, where bfloat16 itself rounds by {rounding:.2g} of"
                " their norm"
            )
        say(f"the network cannot run {name} here, and is slower without: {reason}")
    return plain


def _distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    expected = expected.float()
    return float((found.float() - expected).norm() / expected.norm())


def _poison(device: torch.device) -> None:
    """Fill the memory that the next batch will be given with NaN, so that what reads before it writes is found out.

    cuDNN's sum with nothing takes its own output for the nothing, times zero.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(device)
        torch.full((min(free // 2, _POISON) // 4,), float("nan"), device=device)


def _made_up(number: int, side: int, device: torch.device) -> torch.Tensor:
    """Clouds with grain, uint8 `(number, side, side, 3)`, the same each time."""
    generator = torch.Generator().manual_seed(0)
    clouds_N3hw = torch.rand(number, 3, 8, 8, generator=generator).to(device)
    grain_13HW = torch.rand(1, 3, side, side, generator=generator).to(device)
    images_N3HW = 200 * nn.functional.interpolate(clouds_N3hw, (side, side), mode="bilinear") + 55 * grain_13HW
    return images_N3HW.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
