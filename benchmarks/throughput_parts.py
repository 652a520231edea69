"""Decoder and network alone, for `ddt_throughput.py`, and what the engine's parts share with them.

Every part is warmed up with one batch before its clock starts. `cpu_s_an_image` is CPU time of all threads: on a
machine that others use, too, it says more than the clock.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import torch
from fresh_process import peak_memory_mb
from result import Json
from torch.utils.flop_counter import FlopCounterMode

from psol_ray.images.batch import Decoder
from psol_ray.images.decoder import make_decoders
from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.forward import make_forward
from psol_ray.models.weights import load_state
from psol_ray.storage.addresses import image_addresses
from psol_ray.tables import CATALOG, RunDir

__all__ = ["CORES", "DEVICE", "GPU", "Clock", "batches_of", "classes", "decode", "forward", "matmul_tflops"]

CORES = len(os.sched_getaffinity(0))
GPU = 0 if torch.cuda.is_available() else None
DEVICE = torch.device("cpu" if GPU is None else f"cuda:{GPU}")


def classes(params: Json) -> list[pa.Table]:
    """Catalog rows of each class, training images first."""
    catalog = RunDir(params["run_dir"]).stage("catalog").read(CATALOG)
    catalog = catalog.sort_by([("label", "ascending"), ("split", "descending"), ("image_id", "ascending")])
    return [catalog.filter(pc.field("label") == label) for label in catalog["label"].unique().to_pylist()]


def batches_of(params: Json) -> list[list[str]]:
    """Files of all classes."""
    paths = [path for images in classes(params) for path in map(str, image_addresses(params["images"], images))]
    size = params["batch_size"]
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def decode(params: Json) -> Json:
    """As many decoders as the engine has, all threads, over and over for some seconds."""
    batches, decoders = batches_of(params), _decoders(params)
    for decoder in decoders:
        decoder.decode(batches[0])
    clock = Clock()

    def work(decoder: Decoder) -> int:
        images = 0
        while clock.seconds() < params["seconds"]:
            for batch in batches:
                images += int(decoder.decode(batch).ok_N.sum())
        return images

    with ThreadPoolExecutor(len(decoders)) as threads:
        images = sum(threads.map(work, decoders))
    return {**clock.result(images), "decoder": type(decoders[0]).__name__, "images": images}


def _decoders(params: Json) -> list[Decoder]:
    return make_decoders(params["input_size"], params["batch_size"], num_threads=CORES, gpu=GPU)


def forward(params: Json) -> Json:
    """Network and normalisation on decoded images, which the engine cannot outrun; and products of matrices."""
    decoder, extractor = _decoders(params)[0], _extractor(params)
    network = make_forward(
        extractor,
        DEVICE,
        precision="auto",
        batch_size=params["batch_size"],
        input_size=params["input_size"],
        compiled=params["compile"],
    )
    pixels = [decoder.decode(batch).images_NHWC for batch in batches_of(params)]
    del decoder
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        extractor(pixels[0][:1])  # layer by layer: fused operations are unknown to the counter
    with torch.no_grad():
        features = network(pixels[0])
        clock = Clock()
        batch_seconds = list(_time_each(network, pixels))
    result = clock.result(sum(map(len, pixels)))
    sizes = (1024, 2048, 4096) if GPU is None else (4096, 8192, 16384)
    tflops = {size: matmul_tflops(size, features.dtype, params["seconds"] / 2.5) for size in sizes}
    return {
        **result,
        "batch_seconds": [s for s, images in zip(batch_seconds, pixels, strict=True) if len(images) == len(pixels[0])],
        "gflop_an_image": counter.get_total_flops() / 1e9,
        "tflops": result["images_per_s"] * counter.get_total_flops() / 1e12,
        "matmul_tflops": max(tflops.values()),
        "matmul_tflops_by_size": tflops,
        "dtype": str(features.dtype).removeprefix("torch."),
    }


def _extractor(params: Json) -> FeatureExtractor:
    backbone = find_backbone(params["backbone"])
    return FeatureExtractor(backbone, load_state(backbone, params["weights"], for_features=True)).to(DEVICE)


def _time_each(network: Callable[[torch.Tensor], torch.Tensor], batches: list[torch.Tensor]) -> Iterator[float]:
    """Seconds of each batch; a GPU never waits for the clock."""
    if GPU is None:
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


def matmul_tflops(size: int, dtype: torch.dtype, seconds: float = 2.0) -> float:
    """The best of several products of two square matrices."""
    a, b = (torch.randn(size, size, device=DEVICE).to(dtype) for _ in range(2))
    a @ b
    best, begun = float("inf"), time.perf_counter()
    while time.perf_counter() - begun < seconds:
        clock = Clock()
        a @ b
        best = min(best, clock.seconds())
    return 2 * size**3 / best / 1e12


class Clock:
    """Seconds since it was made, by the wall and of all threads; a GPU finishes its work first."""

    def __init__(self) -> None:
        _synchronize()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        _synchronize()
        return time.perf_counter() - self._wall

    def result(self, images: int) -> Json:
        """Rates of so many images, and the process's peaks of memory."""
        seconds, cpu_s = self.seconds(), time.process_time() - self._cpu
        return {
            "images_per_s": images / seconds,
            "cpu_s_an_image": cpu_s / images,
            "peak_memory_mb": peak_memory_mb(),
            **({} if GPU is None else {"peak_gpu_memory_mb": torch.cuda.max_memory_allocated() / 2**20}),
        }


def _synchronize() -> None:
    if GPU is not None:
        torch.cuda.synchronize()
