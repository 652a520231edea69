"""Forward passes against this GPU's own ceilings: its memory, its matrix units, each layer of VGG16, the whole network.

    PYTHONPATH=PROJECT python roofline.py --weights vgg16.safetensors --out FILE.json [--seconds 150]

Prints tables and writes all figures; what there is no time for is left out, and said so. `--tiny` tries it on a CPU.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from floor import layers
from measure import CUDA, DEVICE, Deadline, milliseconds, replayed
from torch import nn
from vgg16_ways import LAYER_WAYS, Network, layer_kernels, make_extractor, plain_network, project_network, ways

Json = dict[str, Any]


def main() -> None:
    """Measure in the order of what is wanted most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="random")
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    side, batch = (96, 2) if arguments.tiny else (448, arguments.batch_size)
    until = Deadline(arguments.seconds)
    result: Json = {"device": torch.cuda.get_device_name() if CUDA else "cpu", "torch": torch.__version__, "side": side}
    result["cudnn"] = torch.backends.cudnn.version()
    try:
        result["ceilings"] = ceilings(arguments.tiny)
        result["moments"] = moments(arguments.tiny)
        result["layers"] = by_layer(batch, side, until)
        best = [min(row["us"], key=row["us"].get) for row in result["layers"][1:] if row["us"]]
        result["networks"] = networks(arguments.weights, batch, side, best if len(best) == 12 else None, until)
        result["batches"] = batches(arguments.weights, side, until, (1, 2) if arguments.tiny else (32, 128, 256, 512))
        result["backbones"] = backbones(batch, side, until)
    finally:
        Path(arguments.out).write_text(json.dumps(result, indent=1))


def ceilings(tiny: bool) -> Json:
    """A copy, bytes read and written; products of matrices in bfloat16 and float32."""
    values = torch.empty(2**20 if tiny else 2**31, dtype=torch.uint8, device=DEVICE).random_()
    other = torch.empty_like(values)
    tbps = 2 * values.numel() / milliseconds(lambda: other.copy_(values)) / 1e9
    side = 256 if tiny else 8192
    a, b = (torch.randn(side, side, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    tflops = 2 * side**3 / milliseconds(lambda: a @ b, 1.0) / 1e9
    result = {"copy_tbps": tbps, "bf16_tflops": tflops}
    print("ceilings:", _rounded(result), flush=True)
    return result


def moments(tiny: bool) -> Json:
    """Milliseconds that a chunk of 64 images costs behind the network, for VGG16's and ResNet50's channels."""
    from psol_ray.generators.ddt.moments import Moments

    result = {}
    for channels in (64,) if tiny else (512, 2048):
        rows = torch.randn(64 * 196, channels, device=DEVICE, dtype=torch.bfloat16).relu_()
        sums = Moments.empty(channels, DEVICE)
        result[f"update_{channels}_ms"] = milliseconds(partial(sums.update, rows))
        result[f"product_{channels}_ms"] = milliseconds(partial(_product, rows))
    print("moments of 64 images:", _rounded(result), flush=True)
    return result


def _product(rows: torch.Tensor) -> torch.Tensor:
    return rows.float().T @ rows.float()


@torch.no_grad()
def by_layer(batch: int, side: int, until: Deadline) -> list[Json]:
    """Microseconds an image of each convolution with what follows it, in each way; and its bare TFLOP/s."""
    rows = []
    for layer in layers(side):
        if until.is_over():
            break
        convolution = nn.Conv2d(layer.channels_in, layer.channels_out, 3, padding=1).to(DEVICE)
        shape = (batch, layer.channels_in, layer.side, layer.side)
        x = torch.randn(shape, device=DEVICE).relu_().bfloat16().contiguous(memory_format=torch.channels_last)
        weight = convolution.weight.bfloat16().contiguous(memory_format=torch.channels_last)
        row: Json = {"layer": layer.name, "us": {}, "tflops": {}}
        for benchmark in (False, True):
            torch.backends.cudnn.benchmark = benchmark
            ms = milliseconds(partial(torch.conv2d, x, weight, None, padding=1), 0.1)
            row["tflops"]["found by trying" if benchmark else "as it comes"] = layer.gflop * batch / ms
        torch.backends.cudnn.benchmark = False
        # The first layer has 3 channels, which only cuDNN takes; networks() has it from bytes.
        for way in LAYER_WAYS if CUDA and layer.channels_in > 3 else LAYER_WAYS[:1]:
            row["us"][way] = _try(partial(_layer_us, way, convolution, layer.pooled, x, batch))
        row["us"] = {way: us for way, us in row["us"].items() if us is not None}
        rows.append(row)
        print(layer.name, "TFLOP/s", _rounded(row["tflops"]), "µs an image", _rounded(row["us"]), flush=True)
    return rows


def _layer_us(way: str, convolution: nn.Conv2d, pool: bool, x: torch.Tensor, batch: int) -> float:
    kernels, plain = (layer_kernels(w, convolution, pool) for w in (way, "eager"))
    _agree(kernels(x), plain(x), way)
    return milliseconds(lambda: kernels(x), 0.1) / batch * 1e3


def networks(weights: str, batch: int, side: int, best: list[str] | None, until: Deadline) -> Json:
    """Images/s of each way, launched and as a graph, and how far its features are from float32's."""
    extractor = make_extractor(weights)
    images = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, device=DEVICE)
    exact = _exact(extractor, images[:4])
    result: Json = {}
    for name, make in ways(extractor, batch, side, best).items():
        if until.is_over():
            print(f"{name}: no time left", flush=True)
            continue
        result[name] = _try(partial(_made_network, make, images, exact))
        print(f"{name}:", _rounded(result[name] or {}), flush=True)
    torch.backends.cudnn.benchmark = True
    result["project, cudnn.benchmark"] = _try(lambda: _network(project_network(extractor, batch, side), images, exact))
    torch.backends.cudnn.benchmark = False
    print("project, cudnn.benchmark:", _rounded(result["project, cudnn.benchmark"] or {}), flush=True)
    return result


def _made_network(make: Callable[[], Network], images: torch.Tensor, exact: torch.Tensor) -> Json:
    return _network(make(), images, exact)


def _network(network: Network, images: torch.Tensor, exact: torch.Tensor) -> Json:
    with torch.no_grad():
        features = network(images)[: len(exact)].double()
        result = {
            "error": float((features - exact).norm() / exact.norm()),
            "images_per_s": len(images) / milliseconds(lambda: network(images), 0.5) * 1e3,
        }
        graph = _try(lambda: replayed(lambda: network(images)))
        if graph is not None:
            result["images_per_s_graph"] = len(images) / milliseconds(graph, 0.5) * 1e3
    return result


@torch.no_grad()
def _exact(extractor: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """float32 that is float32: TF32, which convolutions are allowed by default, has ten bits."""
    torch.backends.cudnn.allow_tf32 = False
    features = extractor(images).double()
    torch.backends.cudnn.allow_tf32 = True
    return features


def batches(weights: str, side: int, until: Deadline, sizes: tuple[int, ...]) -> Json:
    """The project's network over batch sizes."""
    extractor = make_extractor(weights)
    result: Json = {}
    for size in sizes:
        if not until.is_over():
            network = project_network(extractor, size, side)
            images = torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8, device=DEVICE)
            result[str(size)] = size / milliseconds(partial(network, images), 0.4) * 1e3
    print("images/s by batch size:", _rounded(result), flush=True)
    return result


def backbones(batch: int, side: int, until: Deadline) -> Json:
    """The other backbones' features, random weights."""
    result = {}
    for name in ("resnet50", "inception_v3", "densenet161", "tf_efficientnet_lite0"):
        if until.is_over():
            break
        images = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, device=DEVICE)
        extractor = make_extractor("random", name)
        for way, network in (
            ("project", project_network(extractor, batch, side)),
            ("layer by layer", plain_network(extractor)),
        ):
            result[f"{name}, {way}"] = _try(partial(_rates, network, images))
            print(f"{name}, {way}:", _rounded(result[f"{name}, {way}"] or {}), flush=True)
    return result


def _rates(network: Network, images: torch.Tensor) -> Json:
    work = partial(network, images)
    return {
        "images_per_s": len(images) / milliseconds(work, 0.4) * 1e3,
        "images_per_s_graph": len(images) / milliseconds(replayed(work), 0.4) * 1e3,
    }


def _agree(output: torch.Tensor, expected: torch.Tensor, name: str) -> None:
    error = float((output.double() - expected.double()).norm() / expected.double().norm())
    if not error < 2e-2:
        raise ValueError(f"{name} is wrong by {error:.1e}")


def _try(work: Callable[[], Any]) -> Any:
    """None where it fails: one way that does not work must not cost the rest."""
    try:
        return work()
    except Exception:
        print(traceback.format_exc(limit=-2), file=sys.stderr, flush=True)
        return None


def _rounded(values: Json) -> Json:
    return {name: float(f"{value:.4g}") for name, value in values.items()}


if __name__ == "__main__":
    main()
