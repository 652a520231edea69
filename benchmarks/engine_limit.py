"""What DDT's engine itself can carry: the real stream, components, boxes and Parquet around a GPU that sleeps.

    python benchmarks/engine_limit.py --out FILE.json

One worker with as many classes at a time as an actor has. Decoders sleep, and so does the network, for `--image-us` an
image, up to two batches of which may be on the device as on a GPU. Its features have the heat of a blurred object and
noise, and stand for `--channels` of them, whose moments are those of real size: the component is computed, on this
machine's CPU. What the moments' and projections' products take on a device is left out.

`of_network` is the rate over the network's own. `gil` says how often a thread that sleeps for a millisecond again and
again finds the interpreter's lock taken when it wakes (a quarter of a millisecond late or more), and its longest wait;
`gil_idle` the same with nothing else running, which is the machine's own noise.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch
from fresh_process import run_fresh
from result import Json, print_table, write_result
from simulated_gpu import class_table

from psol_ray.generators.ddt import passes
from psol_ray.generators.ddt.generator import Ddt
from psol_ray.generators.ddt.moments import Component, Moments
from psol_ray.generators.ddt.settings import DdtSettings
from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.generators.ddt.worker import DdtWorker
from psol_ray.images.batch import DecodedBatch
from psol_ray.storage.addresses import image_addresses
from psol_ray.tables import Provenance, RunDir
from psol_ray.work.jobs import Task
from psol_ray.work.perform import PartWriter, perform

BATCH, SIDE, CELLS = 64, 448, 14
CLASS = 1300
TARGET = 0.95
_LATE_SECONDS = 0.25e-3


def main() -> None:
    """Each number of channels in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", default="512,2048")
    parser.add_argument("--image-us", type=float, default=250.0, help="microseconds of the network an image")
    parser.add_argument("--classes", type=int, default=60, help=f"of {CLASS:,} images")
    parser.add_argument("--jobs", type=int, default=Ddt.concurrency, help="classes that the worker has at a time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="one round of two classes of 130")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.classes, arguments.rounds, arguments.channels = 2, 1, "64"
    params, load = {**vars(arguments), "benchmark": "engine_limit", "images_a_class": CLASS}, os.getloadavg()[0]
    runs = [
        run_fresh(
            "engine_limit", "measure", {**params, "channels": int(c)}, keep_memory=True, in_process=params["smoke"]
        )
        for _ in range(arguments.rounds)
        for c in arguments.channels.split(",")
    ]
    best = {run["channels"]: run for run in sorted(runs, key=lambda run: run["of_network"])}
    write_result(arguments.out, params, {"best": best, "runs": runs, "target": TARGET, "load_average_before": load})
    print_table([{name: _shown(value) for name, value in run.items()} for run in runs])


def _shown(value: object) -> object:
    return ", ".join(f"{name} {number:.3g}" for name, number in value.items()) if isinstance(value, dict) else value


def measure(params: Json) -> Json:
    """Files that do not exist to Parquet that does."""
    class_table(0, 1)  # has pyarrow import pandas
    channels, images = params["channels"], CLASS // (10 if params["smoke"] else 1)
    device = Device(params["image_us"] / 1e6)
    SimulatedMoments.prepare(channels, device)
    worker = SimulatedWorker(device)
    with _gil_watched() as idle:
        time.sleep(2.0 if not params["smoke"] else 0.1)
    simulated = patch.object(passes, "Moments", SimulatedMoments)
    with simulated, tempfile.TemporaryDirectory() as folder, _gil_watched() as gil:
        stage = RunDir(folder).stage("boxes")
        writer = PartWriter({"boxes": (stage, Provenance("boxes", {}, {}))})

        def do(label: int) -> None:
            table = class_table(label, images)
            task = Task(f"part-{label:05d}", table, image_addresses("/data", table), _ignore)
            perform(worker, "process", task, (), writer)

        started, cpu_s = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(params["jobs"]) as threads:
            list(threads.map(do, range(params["classes"])))
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
        assert len(stage.parts()) == params["classes"]
    worker.close()
    count = images * params["classes"]
    return {
        "channels": channels,
        "images_per_s": count / seconds,
        "of_network": count * params["image_us"] / 1e6 / seconds,
        "cpu_share_of_a_core": cpu_s / seconds,
        "component_ms": _time_component(),
        "gil": gil,
        "gil_idle": idle,
    }


def _time_component() -> float:
    moments = SimulatedMoments.empty()
    moments.count = 1
    started = time.perf_counter()
    moments.component()
    return 1e3 * (time.perf_counter() - started)


class Device:
    """A queue of work that takes time and nothing else; whoever launches waits once two batches are in it."""

    def __init__(self, image_s: float) -> None:
        self._image_s, self._free_at = image_s, 0.0
        rng = torch.Generator().manual_seed(0)
        noise = torch.nn.functional.avg_pool2d(torch.randn(8, BATCH, CELLS + 4, CELLS + 4, generator=rng), 5, 1)
        noise[..., 4:10, 3:11] += 1.0
        self._maps = (noise - noise.mean(dim=(2, 3), keepdim=True)).unsqueeze(-1)
        self._turn = 0

    def network(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        """Features of one channel, the heat, ready some time after they are returned."""
        batch_s = BATCH * self._image_s
        self._free_at = max(self._free_at, time.perf_counter()) + len(images_NHWC) * self._image_s
        time.sleep(max(0.0, self._free_at - 2 * batch_s - time.perf_counter()))
        self._turn += 1
        return self._maps[self._turn % len(self._maps), : len(images_NHWC)]

    def wait(self) -> None:
        """Until all that was launched is done."""
        time.sleep(max(0.0, self._free_at - time.perf_counter()))

    def decode(self, paths: Sequence[object], *_: object) -> DecodedBatch:
        """Half as fast as the network, for there are two decoders, but for a fifth."""
        time.sleep(1.6 * self._image_s * len(paths))
        return DecodedBatch(_PIXELS[: len(paths)], np.ones(len(paths), bool))


_PIXELS = torch.zeros(BATCH, SIDE, SIDE, 3, dtype=torch.uint8)


class SimulatedWorker(DdtWorker):
    """DDT's, but for its network and decoders."""

    def __init__(self, device: Device) -> None:
        self._settings, self._max_bytes, self._kept = DdtSettings(input_size=SIDE), float("inf"), {}
        self.stream = FeatureStream([device, device], device.network, BATCH, torch.device("cpu"))


class SimulatedMoments(Moments):
    """Those of features that only have their heat: a scatter of full size that was prepared, its component computed."""

    device: Device
    prepared: Moments

    @classmethod
    def prepare(cls, channels: int, device: Device) -> None:
        """A scatter like that of a real class: half a tenth of the variance in one direction, the rest falling off."""
        rng = np.random.default_rng(0)
        basis, _ = np.linalg.qr(rng.normal(size=(channels, channels)))
        values = 1.0 / np.arange(2, channels + 2) ** 0.8
        values[0] = 0.8
        scatter = torch.from_numpy((basis * values) @ basis.T)
        cls.device, cls.prepared = device, Moments(1, torch.zeros(channels, dtype=torch.float64), scatter)

    @classmethod
    def empty(cls, *_: object) -> "SimulatedMoments":
        """See `Moments.empty`."""
        return cls(0, cls.prepared.mean_C, cls.prepared.scatter_CC)

    def update(self, descriptors_RC: torch.Tensor) -> None:
        """Count them."""
        self.count += len(descriptors_RC)

    def component(self) -> Component:
        """See `Moments.component`; it waits for the device as whoever reads something from it does."""
        self.device.wait()
        found = super().component()
        return SimulatedComponent(found.mean_C, found.direction_C, found.explained_variance_ratio)


class SimulatedComponent(Component):
    """Projects what is heat already."""

    def to(self, device: torch.device) -> "SimulatedComponent":
        """See `Component.to`; waits, as whoever reads the projections does, for what the device was given before."""
        SimulatedMoments.device.wait()
        found = super().to(device)
        return SimulatedComponent(found.mean_C, found.direction_C, found.explained_variance_ratio)

    def project(self, descriptors: torch.Tensor) -> torch.Tensor:
        """See `Component.project`."""
        return descriptors[..., 0]


@contextmanager
def _gil_watched() -> Iterator[Json]:
    """How late a thread wakes that sleeps for a millisecond again and again, which it only can with the lock."""
    late: list[float] = []
    stop, result = threading.Event(), dict[str, float]()

    def watch() -> None:
        while not stop.is_set():
            asleep = time.perf_counter()
            time.sleep(1e-3)
            late.append(time.perf_counter() - asleep - 1e-3)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield result
    finally:
        stop.set()
        thread.join()
        result["taken_share"] = float((np.array(late) > _LATE_SECONDS).mean())
        result["longest_wait_ms"] = 1e3 * max(late)


def _ignore(_: int) -> None:
    pass


if __name__ == "__main__":
    main()
