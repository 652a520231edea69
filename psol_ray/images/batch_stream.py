"""Images of jobs in batches through one network, which waits neither for a job's end nor for its results.

Two jobs are done at once, each in a thread of its caller. The files of the one that came first are decoded first, all
of them; then, while the network works on its last batches and its rows are written, those of the other.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

from psol_ray.images.cuda import Launches
from psol_ray.storage.addresses import Address
from psol_ray.storage.ahead import fetched
from psol_ray.work.counters import WAITS

__all__ = ["BatchStream"]

T = TypeVar("T")
R = TypeVar("R")

# Batches that a GPU may have been given and not finished.
_UNFINISHED = 2


class BatchStream(Generic[T]):
    """Decoders and the turn at the network of one worker; `map` may be called in several threads at once."""

    def __init__(
        self, decoders: Sequence[Callable[[Sequence[Address]], T]], batch_size: int, device: torch.device
    ) -> None:
        """Args:
        decoders: of several, one reads files while another's pixels are decoded.
        batch_size: images a forward pass.
        device: of the network.
        """
        self.device = device
        self._batch_size = batch_size
        self._threads = ThreadPoolExecutor(len(decoders), "decode")
        self._decoders: queue.SimpleQueue[Callable[[Sequence[Address]], T]] = queue.SimpleQueue()
        for decoder in decoders:
            self._decoders.put(decoder)
        # One batch that is decoded beside those that are being decoded.
        self._num_ahead = len(decoders) + 1
        # By turns instead of batch by batch: jobs that began together would end together, and then nobody has work for
        # the network.
        self._decoding = threading.Lock()
        # On a CPU a second batch would take the first one's cores, and as much memory again.
        self._network = threading.Lock()
        self._launches = Launches(device, _UNFINISHED)
        self._left_network_at = 0.0

    def map(
        self,
        paths: Sequence[Address],
        network: Callable[[slice, T], R],
        on_batch: Callable[[int], None],
        uses: int = 1,
    ) -> list[R]:
        """What the network makes of each batch, in order.

        Args:
            paths: the images' files.
            network: is given the rows of a batch and what a decoder made of their files, one call at a time. What it
                returns should stay on the device: results are copied once a job.
            on_batch: called with the number of images done, after each batch.
            uses: how often a decoder reads each file.

        Raises:
            Exception: whatever a decoder, the network or `on_batch` raised.
        """
        asked_at = time.perf_counter()
        outcomes: list[R] = []
        waiting: deque[tuple[slice, Future[T]]] = deque()

        def finish_one() -> None:
            rows, decoded = waiting.popleft()
            outcomes.append(self._run(network, rows, decoded.result(), asked_at))
            on_batch(rows.stop)

        try:
            with fetched(paths, uses):
                with self._decoding:
                    for start in range(0, len(paths), self._batch_size):
                        rows = slice(start, min(start + self._batch_size, len(paths)))
                        waiting.append((rows, self._threads.submit(self._decode, paths[rows])))
                        if len(waiting) > self._num_ahead:
                            finish_one()
                while waiting:
                    finish_one()
        finally:
            for _, decoded in waiting:
                decoded.cancel()
        return outcomes

    def _decode(self, paths: Sequence[Address]) -> T:
        decoder = self._decoders.get()
        try:
            return decoder(paths)
        finally:
            self._decoders.put(decoder)

    def _run(self, network: Callable[[slice, T], R], rows: slice, decoded: T, asked_at: float) -> R:
        with self._network:
            entered_at = time.perf_counter()
            outcome = network(rows, decoded)
            self._launches.add()
            waited = entered_at - max(self._left_network_at, asked_at)
            self._left_network_at = time.perf_counter()
            WAITS.add(decode=waited, network=self._left_network_at - entered_at)
        return outcome
