"""Reads image sizes from headers in Ray tasks: 1.28 M of them are bound by the disk, not by one core."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError

from psol_ray.catalog.headers import AWAY, read_sizes
from psol_ray.distributed.cluster import check_nodes, find_nodes
from psol_ray.distributed.failures import raise_failure
from psol_ray.distributed.node_checks import NodeChecks, Probe, exclude, visible
from psol_ray.distributed.progress import RemoteTracker, tracked
from psol_ray.distributed.waiting import Teller
from psol_ray.errors import UserError
from psol_ray.images.limits import MAX_PIXELS
from psol_ray.storage.addresses import file_address

__all__ = ["read_sizes_in_parallel"]

_FILES_A_TASK = 2048
# Of a task whose process dies: that of another user's memory, say.
_RETRIES = 3
# So many machines look for an image beside the first before it is away. Each has shown that it sees the folder, so a
# file that four do not see is missing, and the fifth to the hundredth would look for nothing, one after the other.
_OTHERS = 3
_LOOK_SECONDS = 60.0
# Where nothing but second looks is waited for: the machine that is left may be full, or gone.
_SECOND_LOOK_SECONDS = 300.0


@dataclass(frozen=True)
class _Read:
    """Sizes that a node has read, `AWAY` where it does not see the image; or why it can read none."""

    node_id: str
    sizes_N2: NDArray[np.int32]
    error: UserError | None = None


@dataclass(frozen=True)
class _Chunk:
    """Images that are read together, or that are left of them: those that no machine has seen yet.

    `rows_N` are their places among all images; `name` and `num_images` are what progress calls it, and how many it had
    at first. `tried` are the nodes that were asked, of which `num_looks` have read what they could and the others gave
    an `error`.
    """

    name: str
    num_images: int
    rows_N: NDArray[np.intp]
    tried: frozenset[str] = frozenset()
    num_looks: int = 0
    error: UserError | None = None

    def without_seen(self, read: _Read) -> "_Chunk":
        """What a node has left to others."""
        tried = self.tried | {read.node_id}
        if read.error is not None:
            return replace(self, tried=tried, error=read.error)
        left_N = (read.sizes_N2 == AWAY).all(axis=1)
        return replace(self, rows_N=self.rows_N[left_N], tried=tried, num_looks=self.num_looks + 1)


def _read_chunk(
    root: str, image_ids: Sequence[str], max_pixels: int, name: str, num_images: int, tracker: RemoteTracker
) -> _Read:
    node_id = ray.get_runtime_context().get_node_id()
    try:
        sizes_N2 = read_sizes(root, image_ids, max_pixels)
    except UserError as error:
        return _Read(node_id, np.zeros((0, 2), np.int32), error)
    tracker.update(name, num_images)
    return _Read(node_id, sizes_N2)


def read_sizes_in_parallel(root: str, image_ids: Sequence[str], max_pixels: int = MAX_PIXELS) -> NDArray[np.int32]:
    """`(width, height)` of every image, in order; `(0, 0)` for one that is unreadable or larger.

    Nodes that do not see the images are left out. What one node cannot open is tried on three others, and is `AWAY`
    where none can.

    Raises:
        UserError: `root` is not a folder on any of the machines; the cluster has no CPUs; or Ray failed.
    """
    some = [image_ids[i] for i in (0, len(image_ids) // 2, -1)] if image_ids else []
    probe = Probe(root, visible([file_address(root, image_id) for image_id in some]))
    checks = NodeChecks(probe)
    checks.require(check_nodes())  # without CPUs the tasks would wait for ever
    with tracked("Reading headers", len(image_ids)) as tracker:
        return _Reading(root, image_ids, max_pixels, checks, tracker).read()


@dataclass
class _Reading:
    root: str
    image_ids: Sequence[str]
    max_pixels: int
    checks: NodeChecks
    tracker: RemoteTracker
    _running: dict[Any, _Chunk] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sizes_N2 = np.full((len(self.image_ids), 2), AWAY, np.int32)
        # One for all of them: Ray sends each that is made to every worker.
        self._read_chunk = ray.remote(_read_chunk)

    def read(self) -> NDArray[np.int32]:
        for start in range(0, len(self.image_ids), _FILES_A_TASK):
            rows_N = np.arange(start, min(start + _FILES_A_TASK, len(self.image_ids)))
            self._begin(_Chunk(str(start), len(rows_N), rows_N))
        while self._running:
            for answer in self._wait():
                self._take_in(self._running.pop(answer), _get(answer))
        return self._sizes_N2

    def _begin(self, chunk: _Chunk) -> None:
        unfit = self.checks.faults.keys() | chunk.tried
        read = self._read_chunk.options(num_cpus=1, max_retries=_RETRIES, label_selector=exclude(unfit))
        image_ids = [self.image_ids[row] for row in chunk.rows_N]
        answer = read.remote(self.root, image_ids, self.max_pixels, chunk.name, chunk.num_images, self.tracker)
        self._running[answer] = chunk

    def _take_in(self, chunk: _Chunk, read: _Read) -> None:
        """What a node has read; what it has not is tried on one that was not asked yet."""
        if read.error is None:
            self._sizes_N2[chunk.rows_N] = read.sizes_N2
        left = chunk.without_seen(read)
        if not len(left.rows_N):
            return
        # One that says at once that it sees no folder has not looked for an image.
        if (
            left.num_looks <= _OTHERS
            and {node.node_id for node in find_nodes()} - left.tried - self.checks.faults.keys()
        ):
            self._begin(left)
        else:
            _give_up(left)

    def _wait(self) -> list[Any]:
        """The next answers; none once second looks were given up. Says every minute what it waits for."""
        started, teller = time.monotonic(), Teller()
        while True:
            answers, _ = ray.wait(list(self._running), timeout=_LOOK_SECONDS)
            if answers:
                return answers
            seconds = time.monotonic() - started
            if seconds > _SECOND_LOOK_SECONDS and all(chunk.tried for chunk in self._running.values()):
                self._give_up_second_looks()
                return []
            self.checks.fit(check_nodes())
            teller.tell(
                "Reading headers: no machine has read any",
                seconds,
                "either others use all CPUs of the cluster, see `ray status`, or the storage of data.root hangs",
            )

    def _give_up_second_looks(self) -> None:
        for answer, chunk in self._running.items():
            ray.cancel(answer)
            _give_up(chunk)
        self._running.clear()


def _give_up(chunk: _Chunk) -> None:
    """What is known stays: its images are away. Raises why nothing is known, where nobody could look."""
    if chunk.error is not None and not chunk.num_looks:
        raise chunk.error


def _get(answer: Any) -> _Read:
    try:
        return ray.get(answer)
    except RayError as error:
        raise_failure(error)
