# mypy: allow-untyped-defs
"""A maximum pool of maps stored channels last, as one GPU kernel. Only a GPU has Triton, so this is imported late."""

import torch
import triton
import triton.language as tl

__all__ = ["triton_max_pool"]

_BLOCK = 1024


@triton.jit
def _max_pool(
    maps,
    out,
    H,
    W,
    P,
    Q,
    C,
    KERNEL_H: tl.constexpr,
    KERNEL_W: tl.constexpr,
    STRIDE_H: tl.constexpr,
    STRIDE_W: tl.constexpr,
    PADDING_H: tl.constexpr,
    PADDING_W: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A program makes BLOCK values of one of the P rows of Q pixels that come out of an image of H x W."""
    row = tl.program_id(0)
    image, p = row // P, row % P
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    here = i < Q * C
    q, c = i // C, i % C
    # The row for each value: Triton's interpreter makes no mask of a block and a number.
    top, left = p * STRIDE_H - PADDING_H + 0 * q, q * STRIDE_W - PADDING_W
    image_start = image.to(tl.int64) * H * W * C
    best = tl.full((BLOCK,), float("-inf"), tl.float32)
    for dy in tl.static_range(KERNEL_H):
        for dx in tl.static_range(KERNEL_W):
            y, x = top + dy, left + dx
            inside = here & (x >= 0) & (x < W) & (y >= 0) & (y < H)
            value = tl.load(maps + image_start + (y * W + x) * C + c, mask=inside, other=float("-inf"))
            # A feature that is not a number must stay one, or nobody would notice it.
            best = tl.maximum(best, value.to(tl.float32), propagate_nan=tl.PropagateNan.ALL)
    tl.store(out + row.to(tl.int64) * Q * C + i, best.to(out.dtype.element_ty), mask=here)


def triton_max_pool(
    x_NCHW: torch.Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> torch.Tensor:
    """What `torch.nn.functional.max_pool2d` makes of `(N, C, H, W)`; the result is stored channels last, too."""
    x_NHWC = x_NCHW.permute(0, 2, 3, 1).contiguous()
    num_images, height, width, channels = x_NHWC.shape
    out_height, out_width = (
        (side + 2 * pad - window) // step + 1
        for side, pad, window, step in zip((height, width), padding, kernel, stride, strict=True)
    )
    out_NHWC = x_NHWC.new_empty((num_images, out_height, out_width, channels))
    grid = (num_images * out_height, triton.cdiv(out_width * channels, _BLOCK))
    _max_pool[grid](
        x_NHWC, out_NHWC, height, width, out_height, out_width, channels, *kernel, *stride, *padding, BLOCK=_BLOCK
    )
    return out_NHWC.permute(0, 3, 1, 2)
