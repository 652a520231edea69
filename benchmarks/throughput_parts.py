"""Decoder and network alone, for `ddt_throughput.py`, and what the engine's parts share with them.

Every part is warmed up with one batch before its clock starts. `cpu_s_an_image` is CPU time of all threads: on a
machine that others use, too, it says more than the clock.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch
from fresh_process import peak_memory_mb
from torch.utils.flop_counter import FlopCounterMode

from psol_ray.images.decoder import Decoder, make_decoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.weights import load_state
from psol_ray.tables import CATALOG, RunDir

__all__ = [
    "CORES",
    "DEVICE",
    "Clock",
    "batches_of",
    "classes",
    "decode",
    "decoder_of",
    "forward",
    "make_network",
    "matmul_tflops",
    "paths_of",
]

Json = dict[str, Any]

CORES = len(os.sched_getaffinity(0))
DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
DECODE_SECONDS = 5.0


def classes(params: Json) -> list[pa.Table]:
    """Catalog rows of each class, training images first."""
    catalog = RunDir(params["run_dir"]).stage("catalog").read(CATALOG)
    catalog = catalog.sort_by([("label", "ascending"), ("split", "descending"), ("image_id", "ascending")])
    return [catalog.filter(pc.field("label") == label) for label in catalog["label"].unique().to_pylist()]


def paths_of(params: Json, images: pa.Table) -> list[str]:
    """Files of catalog rows."""
    return [os.path.join(params["images"], image_id) for image_id in images["image_id"].to_pylist()]


def decode(params: Json) -> Json:
    """The decoder alone, all threads, over and over for some seconds."""
    batches, decoder = batches_of(params), decoder_of(params)
    decoder.decode(batches[0])
    images, clock = 0, Clock()
    while clock.seconds() < DECODE_SECONDS:
        for batch in batches:
            images += int(decoder.decode(batch).ok_N.sum())
    return {**clock.result(images), "decoder": type(decoder).__name__, "images": images}


def forward(params: Json) -> Json:
    """Network and normalisation on decoded images, which the engine cannot outrun; and products of matrices."""
    decoder, network = decoder_of(params), make_network(params)
    pixels = [decoder.decode(batch).images_NHWC for batch in batches_of(params)]
    del decoder
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        features = network(pixels[0][:1])
    with torch.no_grad():
        network(pixels[0])
        clock = Clock()
        batch_seconds = list(_time_each(network, pixels))
    result = clock.result(sum(map(len, pixels)))
    sizes = (4096, 8192, 16384) if clock.is_cuda else (1024, 2048, 4096)
    tflops = {size: matmul_tflops(size, features.dtype) for size in sizes}
    return {
        **result,
        "batch_seconds": [s for s, images in zip(batch_seconds, pixels, strict=True) if len(images) == len(pixels[0])],
        "gflop_an_image": counter.get_total_flops() / 1e9,
        "tflops": result["images_per_s"] * counter.get_total_flops() / 1e12,
        "matmul_tflops": max(tflops.values()),
        "matmul_tflops_by_size": tflops,
        "dtype": str(features.dtype).removeprefix("torch."),
    }


def _time_each(network: Callable[[torch.Tensor], torch.Tensor], batches: list[torch.Tensor]) -> Iterator[float]:
    """Seconds of each batch; a GPU never waits for the clock."""
    if DEVICE.type == "cpu":
        for batch in batches:
            started = time.perf_counter()
            network(batch)
            yield time.perf_counter() - started
        return
    events = [torch.cuda.Event(enable_timing=True) for _ in range(len(batches) + 1)]
    events[0].record()
    for batch, event in zip(batches, events[1:], strict=True):
        network(batch)
        event.record()
    torch.cuda.synchronize()
    yield from (before.elapsed_time(after) / 1e3 for before, after in pairwise(events))


def matmul_tflops(size: int, dtype: torch.dtype) -> float:
    """The best of several products of two square matrices."""
    a, b = (torch.randn(size, size, device=DEVICE).to(dtype) for _ in range(2))
    a @ b
    best, begun = float("inf"), time.perf_counter()
    while time.perf_counter() - begun < 2:
        clock = Clock()
        a @ b
        best = min(best, clock.seconds())
    return 2 * size**3 / best / 1e12


def batches_of(params: Json) -> list[list[str]]:
    """Files of all classes."""
    paths = [path for images in classes(params) for path in paths_of(params, images)]
    size = params["batch_size"]
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def decoder_of(params: Json) -> Decoder:
    """The engine's."""
    gpu = None if DEVICE.type == "cpu" else 0
    return make_decoder(params["input_size"], params["batch_size"], num_threads=CORES, gpu=gpu)


def make_network(params: Json) -> Callable[[torch.Tensor], torch.Tensor]:
    """The engine's: uint8 `(N, H, W, 3)` to features, in the engine's precision."""
    backbone = find_backbone(params["backbone"])
    extractor = FeatureExtractor(backbone, load_state(backbone, params["weights"], for_features=True)).to(DEVICE)

    def network(images_NHWC: torch.Tensor) -> torch.Tensor:
        with _autocast():
            return extractor(images_NHWC)

    return network


def _autocast() -> AbstractContextManager[None]:
    try:
        from psol_ray.models.device import autocast
    except ImportError:  # no Ray here
        return torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda")
    return autocast(DEVICE, "auto")


class Clock:
    """Seconds since it was made, by the wall and of all threads; a GPU finishes its work first."""

    def __init__(self) -> None:
        self.is_cuda = DEVICE.type == "cuda"
        self._synchronize()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def _synchronize(self) -> None:
        if self.is_cuda:
            torch.cuda.synchronize()

    def seconds(self) -> float:
        self._synchronize()
        return time.perf_counter() - self._wall

    def result(self, images: int) -> Json:
        """Rates of so many images, and the process's peaks of memory."""
        seconds, cpu_s = self.seconds(), time.process_time() - self._cpu
        return {
            "images_per_s": images / seconds,
            "cpu_s_an_image": cpu_s / images,
            "peak_memory_mb": peak_memory_mb(),
            **({"peak_gpu_memory_mb": torch.cuda.max_memory_allocated() / 2**20} if self.is_cuda else {}),
        }
