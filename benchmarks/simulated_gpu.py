"""A GPU that sleeps: a worker as DDT's is one, classes of ImageNet's sizes, and how long each keeps a device busy.

Imports no torch: dozens of these workers share one machine.
"""

import heapq
import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from psol_ray.tables import CATALOG
from psol_ray.work.jobs import Parts, Resources, Task

__all__ = [
    "FULL",
    "NUM_CLASSES",
    "NUM_IMAGES",
    "SimulatedWorker",
    "Spread",
    "class_sizes",
    "class_table",
    "list_seconds",
]

NUM_CLASSES, NUM_IMAGES = 1000, 1_281_167
FULL, _FULL_CLASSES, _SMALLEST = 1300, 895, 732
_REPORT_SECONDS = 0.5


def class_sizes() -> list[int]:
    """Images in each of ImageNet's classes: 895 of 1,300 and 105 drawn from 732 to 1,299, 1,281,167 in all."""
    rng = random.Random(0)
    small = [rng.randint(_SMALLEST, FULL - 1) for _ in range(NUM_CLASSES - _FULL_CLASSES)]
    small[0] = _SMALLEST
    wanted = NUM_IMAGES - FULL * _FULL_CLASSES
    while missing := wanted - sum(small):
        index = rng.randrange(1, len(small))
        small[index] += max(_SMALLEST - small[index], min(FULL - 1 - small[index], missing))
    sizes = [FULL] * _FULL_CLASSES + small
    rng.shuffle(sizes)
    return sizes


def class_table(label: int, num_images: int) -> pa.Table:
    """Catalog rows as ImageNet's: what a job carries to its actor."""
    name = f"n{label:08d}"
    return pa.table(
        {
            "image_id": [f"Data/CLS-LOC/train/{name}/{name}_{i}.JPEG" for i in range(num_images)],
            "label": np.full(num_images, label),
            "class_name": [name] * num_images,
            "split": ["train"] * num_images,
            "width": np.full(num_images, 500),
            "height": np.full(num_images, 375),
            "gt_boxes": pa.array([[]] * num_images, CATALOG.field("gt_boxes").type),
        },
        schema=CATALOG,
    )


@dataclass(frozen=True)
class Spread:
    """How much batches differ in time: factors in the order they were measured, around 1."""

    factors_B: np.ndarray
    batch_size: int

    def seconds(self, num_images: int, images_per_s: float, seed: int) -> float:
        """Device seconds of a class: batches in a row from a random one on, so that a slow while stays one."""
        num_batches = -(-num_images // self.batch_size)
        start = int(np.random.default_rng(seed).integers(len(self.factors_B)))
        factors = np.take(self.factors_B, range(start, start + num_batches), mode="wrap")
        return float(factors.mean()) * num_images / images_per_s


def list_seconds(device_s: Sequence[float], boxes_share: float, slowdowns: Sequence[float]) -> float:
    """Makespan where nothing but the devices takes time: whoever is free takes the next class, the longest first."""
    free = [(0.0, slowdown) for slowdown in slowdowns]
    heapq.heapify(free)
    ends = []
    for seconds in sorted(device_s, reverse=True):
        since, slowdown = heapq.heappop(free)
        until = since + seconds * slowdown
        heapq.heappush(free, (until, slowdown))
        ends.append(until + seconds * boxes_share)
    return max(ends)


class SimulatedWorker:
    """Serves one class after the other on its device, as DDT's worker does; a class's part is a row about itself."""

    def __init__(self, device_s: Mapping[str, float], boxes_share: float, slowdown: float, _: Resources) -> None:
        """`device_s` holds the seconds of each part's class; `slowdown` is 3 for a GPU that takes 3 times as long."""
        self._device_s, self._boxes_share, self._slowdown = device_s, boxes_share, slowdown
        self._device = threading.Lock()
        class_table(0, 1)  # has pyarrow import pandas, most of a second that a run shall not begin with

    def process(self, task: Task) -> Parts:
        """Keep the device busy, then the CPU while the device serves another class."""
        seconds = self._device_s[task.name] * self._slowdown
        with self._device:
            started = time.time()
            self._sleep(task, seconds)
            stopped = time.time()
        time.sleep(self._device_s[task.name] * self._boxes_share)
        row = {"part": task.name, "images": len(task.paths), "pid": os.getpid(), "started": started, "stopped": stopped}
        return Parts(boxes=pa.Table.from_pylist([row]))

    def _sleep(self, task: Task, seconds: float) -> None:
        """Until `seconds` are over, telling how far it is as often as a class of batches does."""
        started = time.monotonic()
        while (left := started + seconds - time.monotonic()) > _REPORT_SECONDS:
            time.sleep(_REPORT_SECONDS)
            task.progress(int(len(task.paths) * (1 - left / seconds)))
        time.sleep(max(left, 0.0))
        task.progress(len(task.paths))
