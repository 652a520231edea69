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
from psol_ray.errors import ImagesAway, UserError

__all__ = ["read_sizes_in_parallel"]

_FILES_A_TASK = 2048
# How long nothing may come before it is told what is waited for.
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class _Away:
    """What a node did not see, and which node that is."""

    node_id: str
    error: UserError | ImagesAway


def _read_chunk(root: str, image_ids: Sequence[str], name: str, tracker: RemoteTracker) -> NDArray[np.int32] | _Away:
    try:
        sizes_N2 = read_sizes(root, image_ids)
    except (UserError, ImagesAway) as error:
        return _Away(ray.get_runtime_context().get_node_id(), error)
    tracker.update(name, len(image_ids))
    return sizes_N2


def read_sizes_in_parallel(root: str, image_ids: Sequence[str]) -> NDArray[np.int32]:
    """`(width, height)` of every image, in order; `(0, 0)` for an unreadable one.

    Nodes that do not see the images are left out.

    Raises:
        UserError: `root` is not a folder on any of the machines; or the cluster has no CPUs.
        ImagesAway: some images cannot be opened on any of them.
    """
    probe = Probe(root, visible(root, [image_ids[i] for i in (0, len(image_ids) // 2, -1)] if image_ids else []))
    checks = NodeChecks(probe)
    checks.require(check_nodes())  # without CPUs the tasks would wait for ever
    starts = range(0, len(image_ids), _FILES_A_TASK)
    with tracked("Reading headers", len(image_ids)) as tracker:
        chunks = _Chunks(root, {start: image_ids[start : start + _FILES_A_TASK] for start in starts}, checks, tracker)
        return chunks.read()


@dataclass
class _Chunks:
    root: str
    image_ids: dict[int, Sequence[str]]
    checks: NodeChecks
    tracker: RemoteTracker
    _running: dict[Any, int] = field(default_factory=dict)
    _tried: dict[int, set[str]] = field(default_factory=dict)

    def read(self) -> NDArray[np.int32]:
        sizes = {}
        for start in self.image_ids:
            self._begin(start)
        while self._running:
            for answer in self._wait():
                start = self._running.pop(answer)
                found = ray.get(answer)
                if isinstance(found, _Away):
                    self._try_elsewhere(start, found)
                else:
                    sizes[start] = found
        return np.concatenate([np.zeros((0, 2), np.int32), *(sizes[start] for start in self.image_ids)])

    def _begin(self, start: int) -> None:
        unfit = self.checks.faults.keys() | self._tried.get(start, set())
        read = ray.remote(_read_chunk).options(num_cpus=1, max_retries=3, label_selector=exclude(unfit))
        self._running[read.remote(self.root, self.image_ids[start], str(start), self.tracker)] = start

    def _try_elsewhere(self, start: int, away: _Away) -> None:
        tried = self._tried.setdefault(start, set())
        tried.add(away.node_id)
        if not {node.node_id for node in find_nodes()} - tried - self.checks.faults.keys():
            raise away.error
        self._begin(start)

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
