"""Reads image sizes from headers in Ray tasks: 1.28 M of them are bound by the disk, not by one core."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from psol_ray.catalog.headers import read_sizes
from psol_ray.distributed.cluster import check_nodes, find_nodes
from psol_ray.distributed.node_checks import NodeChecks, Probe, exclude, visible
from psol_ray.distributed.progress import RemoteTracker, tracked
from psol_ray.errors import UserError
from psol_ray.images.limits import MAX_PIXELS

__all__ = ["read_sizes_in_parallel"]

_FILES_A_TASK = 2048
# How long nothing may come before it is told what is waited for.
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class _Read:
    """Sizes that a node has read, `AWAY` where it does not see the image; or why it can read none."""

    node_id: str
    sizes_N2: NDArray[np.int32]
    error: UserError | None = None


def _read_chunk(root: str, image_ids: Sequence[str], max_pixels: int, name: str, tracker: RemoteTracker) -> _Read:
    node_id = ray.get_runtime_context().get_node_id()
    try:
        sizes_N2 = read_sizes(root, image_ids, max_pixels)
    except UserError as error:
        return _Read(node_id, np.zeros((0, 2), np.int32), error)
    tracker.update(name, len(image_ids))
    return _Read(node_id, sizes_N2)


def read_sizes_in_parallel(root: str, image_ids: Sequence[str], max_pixels: int = MAX_PIXELS) -> NDArray[np.int32]:
    """`(width, height)` of every image, in order; `(0, 0)` for one that is unreadable or larger.

    Nodes that do not see the images are left out. What one node cannot open is tried on the others, and is `AWAY` where
    none can.

    Raises:
        UserError: `root` is not a folder on any of the machines; or the cluster has no CPUs.
    """
    probe = Probe(root, visible(root, [image_ids[i] for i in (0, len(image_ids) // 2, -1)] if image_ids else []))
    checks = NodeChecks(probe)
    checks.require(check_nodes())  # without CPUs the tasks would wait for ever
    starts = range(0, len(image_ids), _FILES_A_TASK)
    with tracked("Reading headers", len(image_ids)) as tracker:
        chunks = {start: image_ids[start : start + _FILES_A_TASK] for start in starts}
        return _Chunks(root, chunks, max_pixels, checks, tracker).read()


@dataclass
class _Chunks:
    root: str
    image_ids: dict[int, Sequence[str]]
    max_pixels: int
    checks: NodeChecks
    tracker: RemoteTracker
    _running: dict[Any, int] = field(default_factory=dict)
    _tried: dict[int, set[str]] = field(default_factory=dict)

    def read(self) -> NDArray[np.int32]:
        sizes: dict[int, NDArray[np.int32]] = {}
        for start in self.image_ids:
            self._begin(start)
        while self._running:
            for answer in self._wait():
                start = self._running.pop(answer)
                read = ray.get(answer)
                if read.error is None:
                    # What one node does not see another may have seen.
                    sizes[start] = np.maximum(read.sizes_N2, sizes.get(start, read.sizes_N2))
                if read.error is not None or (sizes[start] < 0).any():
                    self._try_elsewhere(start, read, is_known=start in sizes)
        return np.concatenate([np.zeros((0, 2), np.int32), *(sizes[start] for start in self.image_ids)])

    def _begin(self, start: int) -> None:
        unfit = self.checks.faults.keys() | self._tried.get(start, set())
        read = ray.remote(_read_chunk).options(num_cpus=1, max_retries=3, label_selector=exclude(unfit))
        answer = read.remote(self.root, self.image_ids[start], self.max_pixels, str(start), self.tracker)
        self._running[answer] = start

    def _try_elsewhere(self, start: int, read: _Read, *, is_known: bool) -> None:
        """On a node that has not tried yet; where there is none, what is known by now stays."""
        tried = self._tried.setdefault(start, set())
        tried.add(read.node_id)
        if {node.node_id for node in find_nodes()} - tried - self.checks.faults.keys():
            self._begin(start)
        elif not is_known and read.error is not None:
            raise read.error

    def _wait(self) -> list[Any]:
        """The next answers; says every minute in which none has come what it waits for."""
        started = time.monotonic()
        while True:
            answers, _ = ray.wait(list(self._running), timeout=_PATIENCE_SECONDS)
            if answers:
                return answers
            check_nodes()
            print(
                f"Reading headers: no machine has read any for {time.monotonic() - started:.0f} s; either others use"
                " all CPUs of the cluster, which `ray status` shows, or the storage of data.root hangs ...",
                file=sys.stderr,
            )
