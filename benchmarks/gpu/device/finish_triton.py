# mypy: allow-untyped-defs
"""What follows a convolution without a bias, in one kernel: bias, ReLU, and perhaps a 2 x 2 pool, channels last.

TorchInductor makes about the same. For roofline.py; checked on a CPU with TRITON_INTERPRET=1 (`python
finish_triton.py`).
"""

import torch
import triton
import triton.language as tl
from torch.nn import functional as F

__all__ = ["finish"]

_BLOCK = 1024


@triton.jit
def _finish(x, bias, out, total, W, K, POOL: tl.constexpr, RELU: tl.constexpr, BLOCK: tl.constexpr):
    """`total` values come out; W columns go in. Heights are even, so windows can be counted through the whole batch."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = i < total
    k = i % K
    if POOL:
        column, row = i // K % (W // 2), i // K // (W // 2)
        at = (row * 2 * W + column * 2) * K + k
        above = tl.maximum(tl.load(x + at, mask=here), tl.load(x + at + K, mask=here))
        below = tl.maximum(tl.load(x + at + W * K, mask=here), tl.load(x + at + W * K + K, mask=here))
        value = tl.maximum(above, below).to(tl.float32)
    else:
        value = tl.load(x + i, mask=here).to(tl.float32)
    if RELU:
        value = tl.maximum(value + tl.load(bias + k), 0.0)
    tl.store(out + i, value.to(out.dtype.element_ty), mask=here)


def finish(x_NHWC: torch.Tensor, bias_K: torch.Tensor | None, *, pool: bool) -> torch.Tensor:
    """ReLU of `x + bias`, where there is a `bias_K` (float32), and its pool, where that is asked for."""
    num_images, height, width, channels = x_NHWC.shape
    shrink = 2 if pool else 1
    out = x_NHWC.new_empty((num_images, height // shrink, width // shrink, channels))
    relu = bias_K is not None
    _finish[(triton.cdiv(out.numel(), _BLOCK),)](
        x_NHWC, bias_K if relu else x_NHWC, out, out.numel(), width, channels, POOL=pool, RELU=relu, BLOCK=_BLOCK
    )
    return out


def _check() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x, bias = torch.randn(2, 6, 8, 16, device=device).half(), torch.randn(16, device=device)
    for pool in (False, True):
        for with_bias in (False, True):
            expected = (x.float() + bias).relu() if with_bias else x.float()
            if pool:
                expected = F.max_pool2d(expected.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
            output = finish(x, bias if with_bias else None, pool=pool)
            assert torch.allclose(output.float(), expected, atol=2e-3), (pool, with_bias)
    print("finish: right")


if __name__ == "__main__":
    _check()
