"""Features of images, by one network that never pauses between classes.

Callers in several threads ask for the features of their images. What was asked for is cut into full batches, over the
boundaries between callers; each decoder has a thread that decodes the next batch ahead of the network; the network's
thread works through the batches in their order and hands each caller its own rows.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from psol_ray.generators.ddt.passes import Accept
from psol_ray.images.batch import DecodedBatch, Decoder
from psol_ray.images.cuda import Launches
from psol_ray.storage.addresses import Address
from psol_ray.storage.ahead import fetched
from psol_ray.work.counters import WAITS

__all__ = ["FeatureStream"]

# Batches that may wait for the network, decoded or half so, and those that a GPU may have been given and not finished.
_DEPTH = 2


@dataclass(eq=False)
class _Request:
    """Images that one caller waits for."""

    paths: Sequence[Address]
    accept: Accept
    done: threading.Event = field(default_factory=threading.Event)
    asked_at: float = field(default_factory=time.perf_counter)
    error: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        self.error = self.error or error
        self.done.set()


@dataclass(frozen=True)
class _Segment:
    """Consecutive rows of one request, in one batch."""

    request: _Request
    start: int
    stop: int

    @property
    def paths(self) -> Sequence[Address]:
        return self.request.paths[self.start : self.stop]

    def serve(self, features_Nhwc: torch.Tensor, ok_N: NDArray[np.bool_]) -> None:
        """Hand the caller its rows; what it makes of them is its own fault."""
        if self.request.error is not None:
            return
        try:
            self.request.accept(self.start, features_Nhwc, ok_N)
        except BaseException as error:
            self.request.fail(error)
        if self.stop == len(self.request.paths):
            self.request.done.set()


class _Batch:
    """Segments that go through the network together, and their pixels as soon as those are there."""

    def __init__(self, segments: list[_Segment]) -> None:
        self.segments = segments
        self._pixels: queue.SimpleQueue[DecodedBatch | BaseException] = queue.SimpleQueue()

    def decode(self, decoder: Decoder) -> None:
        try:
            self._pixels.put(decoder.decode([path for segment in self.segments for path in segment.paths]))
        except BaseException as error:
            self._pixels.put(error)

    def pixels(self) -> DecodedBatch:
        """Waits for them; raises what the decoder raised."""
        found = self._pixels.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def fail(self, error: BaseException) -> None:
        for segment in self.segments:
            segment.request.fail(error)


class FeatureStream:
    """Decodes ahead of the network, for as long as the process lives or until it is closed.

    `busy_s` and `waited_s` say how long the network's thread has worked, and how long it has waited for pixels that
    somebody had asked for.
    """

    def __init__(
        self,
        decoders: Sequence[Decoder],
        network: Callable[[torch.Tensor], torch.Tensor],
        batch_size: int,
        device: torch.device,
    ) -> None:
        """Args:
        decoders: of several, one reads files while another's pixels are decoded.
        network: uint8 `(N, H, W, 3)` to features `(N, h, w, C)`.
        batch_size: images a forward pass.
        device: of the network.
        """
        self.busy_s = self.waited_s = 0.0
        self._network, self._batch_size = network, batch_size
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._batches = self._cut_batches()
        self._cutting = threading.Lock()
        self._ready: queue.Queue[_Batch | None] = queue.Queue(_DEPTH)
        self._launches = Launches(device, _DEPTH)
        # Daemons: a Ray actor with any other thread never exits.
        self._threads = [
            threading.Thread(target=self._decode_all, args=(decoder,), daemon=True, name="decode")
            for decoder in decoders
        ]
        self._threads.append(threading.Thread(target=self._run_all, daemon=True, name="network"))
        for thread in self._threads:
            thread.start()

    def read(self, paths: Sequence[Address], accept: Accept) -> None:
        """Have `accept` called with the features of all these images, in order, in the network's thread.

        Returns when it is done; other threads may ask at the same time. Raises what the decoder, the network or
        `accept` raised.
        """
        if not paths:
            return
        request = _Request(paths, accept)
        with fetched(paths):
            self._requests.put(request)
            request.done.wait()
        if request.error is not None:
            raise request.error

    def close(self) -> None:
        """End all threads; nobody may be waiting in `read`."""
        self._requests.put(None)
        for thread in self._threads:
            thread.join()

    def _decode_all(self, decoder: Decoder) -> None:
        while True:
            with self._cutting:
                # In the queue before it is decoded, so that batches stay in order.
                batch = next(self._batches, None)
                self._ready.put(batch)
            if batch is None:
                return
            batch.decode(decoder)

    def _cut_batches(self) -> Iterator[_Batch]:
        """Full batches of all that was asked for; one that is not full only where nobody asks for more."""
        segments: list[_Segment] = []
        room = self._batch_size
        while (request := self._next_request(wait=not segments)) is not None or segments:
            start = 0
            while request is not None and start < len(request.paths) and request.error is None:
                stop = min(start + room, len(request.paths))
                segments.append(_Segment(request, start, stop))
                room -= stop - start
                start = stop
                if not room:
                    yield _Batch(segments)
                    segments, room = [], self._batch_size
            if request is None:
                yield _Batch(segments)
                segments, room = [], self._batch_size

    def _next_request(self, *, wait: bool) -> _Request | None:
        try:
            return self._requests.get(block=wait)
        except queue.Empty:
            return None

    @torch.no_grad()
    def _run_all(self) -> None:
        while True:
            started = time.perf_counter()
            if (batch := self._ready.get()) is None:
                return
            try:
                pixels = batch.pixels()
            except BaseException as error:
                batch.fail(error)
                continue
            received = time.perf_counter()
            waited = received - max(started, batch.segments[0].request.asked_at)
            self._run(batch, pixels)
            busy = time.perf_counter() - received
            self.waited_s += waited
            self.busy_s += busy
            WAITS.add(decode=waited, network=busy)

    def _run(self, batch: _Batch, pixels: DecodedBatch) -> None:
        try:
            features_Nhwc = self._network(pixels.images_NHWC)
            self._launches.add()
        except BaseException as error:
            batch.fail(error)
            return
        start = 0
        for segment in batch.segments:
            rows = slice(start, start + segment.stop - segment.start)
            segment.serve(features_Nhwc[rows], pixels.ok_N[rows])
            start = rows.stop
