# mypy: allow-untyped-defs
"""A 3 x 3 convolution with bias, ReLU and a 2 x 2 pool in one Triton kernel: what fusing everything is worth.

An experiment for roofline.py, not part of the project: an implicit matrix product over the nine taps, channels last,
bfloat16 in and out, float32 sums. Rows are ordered so that the four pixels of a pool are neighbours, and the pool is a
maximum over four accumulator rows. `first` takes bytes and normalises them on the way in.

Checked on a CPU with TRITON_INTERPRET=1 (`python conv_triton.py`). Shape suffixes: N images, H W pixels, C channels
in, K channels out; in the kernels m is a pixel, k one of the nine taps' channels.
"""

import torch
import triton
import triton.language as tl
from torch.nn import functional as F

__all__ = ["conv", "first", "pack"]

_CONFIGS = [
    triton.Config({"BM": bm, "BN": bn, "BK": bk}, num_warps=warps, num_stages=stages)
    for bm, bn, bk, warps, stages in (
        (128, 128, 64, 8, 4),
        (128, 256, 64, 8, 3),
        (256, 128, 64, 8, 3),
        (128, 64, 64, 4, 4),
        (256, 64, 64, 8, 3),
    )
]


@triton.jit
def _place(m, H, W, POOL: tl.constexpr):
    """Image, row and column of the m-th pixel; with POOL the four of a window follow each other."""
    if POOL:
        window, inside = m // 4, m % 4
        x = window % (W // 2) * 2 + inside % 2
        y = window // (W // 2) % (H // 2) * 2 + inside // 2
        return window // ((W // 2) * (H // 2)), y, x
    return m // (W * H), m // W % H, m % W


@triton.jit
def _finish(acc, bias, out, pid_m, n, K, M, BM: tl.constexpr, BN: tl.constexpr, POOL: tl.constexpr):
    """Bias, ReLU, pool, and away with it."""
    acc = tl.maximum(acc + tl.load(bias + n)[None, :], 0.0)
    if POOL:
        acc = tl.max(tl.reshape(acc, (BM // 4, 4, BN)), axis=1)
        rows = pid_m.to(tl.int64) * (BM // 4) + tl.arange(0, BM // 4)
        tl.store(out + rows[:, None] * K + n[None, :], acc.to(out.dtype.element_ty), mask=rows[:, None] < M // 4)
    else:
        rows = pid_m.to(tl.int64) * BM + tl.arange(0, BM)
        tl.store(out + rows[:, None] * K + n[None, :], acc.to(out.dtype.element_ty), mask=rows[:, None] < M)


@triton.autotune(
    _CONFIGS,
    key=["H", "C", "K"],
    prune_configs_by={
        "early_config_prune": lambda cs, args, **_: [
            c for c in cs if args["K"] % c.kwargs["BN"] == 0 and (c.kwargs["BN"] > 64 or args["K"] == 64)
        ]
    },
)
@triton.jit
def _conv(x, w, bias, out, M, H, W, C, K, POOL: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    tiles_n = K // BN
    pid_m, pid_n = tl.program_id(0) // tiles_n, tl.program_id(0) % tiles_n
    m = pid_m * BM + tl.arange(0, BM)
    n = pid_n * BN + tl.arange(0, BN)
    image, y, x0 = _place(m, H, W, POOL)
    here = ((image.to(tl.int64) * H + y) * W + x0) * C
    c = tl.arange(0, BK)
    acc = tl.zeros((BM, BN), tl.float32)
    chunks = C // BK
    for step in range(9 * chunks):
        tap, c0 = step // chunks, step % chunks * BK
        dy, dx = tap // 3 - 1, tap % 3 - 1
        inside = (y + dy >= 0) & (y + dy < H) & (x0 + dx >= 0) & (x0 + dx < W) & (m < M)
        a = tl.load(x + (here + (dy * W + dx) * C + c0)[:, None] + c[None, :], mask=inside[:, None], other=0.0)
        b = tl.load(w + (tap * C + c0 + c)[:, None] * K + n[None, :])
        acc = tl.dot(a, b, acc)
    _finish(acc, bias, out, pid_m, n, K, M, BM, BN, POOL)


@triton.jit
def _first(x, w, bias, mean, factor, out, M, H, W, K, BM: tl.constexpr, BN: tl.constexpr):
    pid_m = tl.program_id(0)
    m = pid_m * BM + tl.arange(0, BM)
    n = tl.arange(0, BN)
    image, y, x0 = _place(m, H, W, False)
    k = tl.arange(0, 32)  # 9 taps of 3 channels, and five zeros
    dy, dx, c = k // 9 - 1, k // 3 % 3 - 1, k % 3
    ys, xs = y[:, None] + dy[None, :], x0[:, None] + dx[None, :]
    inside = (ys >= 0) & (ys < H) & (xs >= 0) & (xs < W) & (k[None, :] < 27) & (m[:, None] < M)
    pixels = tl.load(x + ((image[:, None].to(tl.int64) * H + ys) * W + xs) * 3 + c[None, :], mask=inside, other=0)
    values = (pixels.to(tl.float32) - tl.load(mean + c)[None, :]) * tl.load(factor + c)[None, :]
    a = tl.where(inside, values, 0.0).to(w.dtype.element_ty)
    b = tl.load(w + k[:, None] * K + n[None, :], mask=k[:, None] < 27, other=0.0)
    _finish(tl.dot(a, b), bias, out, pid_m, n, K, M, BM, BN, False)


def pack(weight_KC33: torch.Tensor, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    """torch's weights as one matrix, `(9 C, K)`."""
    return weight_KC33.permute(2, 3, 1, 0).reshape(-1, len(weight_KC33)).to(dtype).contiguous()


def conv(x_NHWC: torch.Tensor, weight: torch.Tensor, bias_K: torch.Tensor, *, pool: bool) -> torch.Tensor:
    """Convolution with padding 1, bias, ReLU and perhaps a pool; `weight` from `pack`, `bias_K` float32."""
    num_images, height, width, channels = x_NHWC.shape
    out_channels = weight.shape[1]
    shrink = 2 if pool else 1
    out = x_NHWC.new_empty((num_images, height // shrink, width // shrink, out_channels))
    pixels = num_images * height * width

    def grid(meta: dict[str, int]) -> tuple[int]:
        return (triton.cdiv(pixels, meta["BM"]) * (out_channels // meta["BN"]),)

    arguments = (x_NHWC, weight, bias_K, out, pixels, height, width, channels, out_channels)
    if x_NHWC.is_cuda:
        _conv[grid](*arguments, POOL=pool)
    else:  # Triton's interpreter, which has nothing to time
        tile = {"BM": 32, "BN": 64, "BK": 64}
        _conv.fn[grid(tile)](*arguments, POOL=pool, **tile)
    return out


def first(
    images_NHWC: torch.Tensor, weight: torch.Tensor, bias_K: torch.Tensor, mean_3: torch.Tensor, std_3: torch.Tensor
) -> torch.Tensor:
    """The first convolution, from bytes; `mean_3`, `std_3` float32 in grey levels."""
    num_images, height, width, _ = images_NHWC.shape
    out = torch.empty((num_images, height, width, weight.shape[1]), dtype=weight.dtype, device=images_NHWC.device)
    pixels = num_images * height * width
    _first[(triton.cdiv(pixels, 128),)](
        images_NHWC,
        weight,
        bias_K,
        mean_3,
        1 / std_3,
        out,
        pixels,
        height,
        width,
        weight.shape[1],
        BM=128,
        BN=64,
        num_warps=4,
    )
    return out


def _check() -> None:
    """Against torch, on whatever device there is; Triton's interpreter knows float16 and no bfloat16."""
    device, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float16)
    torch.manual_seed(0)

    def compare(name: str, x_NHWC: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None:
        wide = F.conv2d(x_NHWC.permute(0, 3, 1, 2).double(), weight.to(dtype).double(), bias.double(), padding=1).relu()
        expected = F.max_pool2d(wide, 2) if out.shape[1] < x_NHWC.shape[1] else wide
        error = (out.permute(0, 3, 1, 2).double() - expected).norm() / expected.norm()
        print(f"{name}: relative error {error.item():.1e}")
        assert error < 1e-2, name

    images = torch.randint(0, 256, (2, 12, 8, 3), dtype=torch.uint8, device=device)
    mean, std = torch.tensor([123.0, 116, 103], device=device), torch.tensor([58.0, 57, 57], device=device)
    weight, bias = torch.randn(64, 3, 3, 3, device=device) / 5, torch.randn(64, device=device)
    compare(
        "first", ((images - mean) / std).to(dtype), weight, bias, first(images, pack(weight, dtype), bias, mean, std)
    )
    for channels, out, pool in ((64, 64, True), (64, 128, False), (128, 128, True)):
        x = torch.randn(2, 8, 12, channels, device=device).to(dtype)
        weight, bias = torch.randn(out, channels, 3, 3, device=device) / 30, torch.randn(out, device=device)
        compare(f"{channels} to {out}", x, weight, bias, conv(x, pack(weight, dtype), bias, pool=pool))


if __name__ == "__main__":
    _check()
