"""One replica of Ray Serve: decodes photos as they come, and has the networks look at them in batches."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ray import serve

from psol_ray.prediction.photo import Squashed
from psol_ray.serving.refusal import Refusal
from psol_ray.serving.worker import PhotoWorker
from psol_ray.work.jobs import Resources

__all__ = ["PhotoReplica"]

# A batch takes tenths of a second, on a slow CPU a few. What takes this long is stuck, and does not come back.
_STUCK_SECONDS = 120


class PhotoReplica:
    """Networks in a process of their own."""

    def __init__(
        self, make_worker: Callable[[Resources], PhotoWorker], resources: Resources, batch_size: int, wait_ms: int
    ) -> None:
        self._worker = make_worker(resources)
        self._decoders = ThreadPoolExecutor(resources.num_cpus)
        self._network = ThreadPoolExecutor(1)
        self._busy_since: float | None = None
        batched: Any = self._locate
        batched.set_max_batch_size(batch_size)
        batched.set_batch_wait_timeout_s(wait_ms / 1000)

    async def predict(self, data: bytes, alone: bool) -> tuple[dict[str, Any] | Refusal, int]:
        """What is found in a photo, and the size of its batch. One under which replicas have died has no neighbours
        there."""
        loop = asyncio.get_running_loop()
        try:
            image = await loop.run_in_executor(self._decoders, self._worker.squash, data)
        except Refusal as refusal:
            return refusal, 0
        return (await self._run([image]))[0] if alone else await self._locate(image)

    @serve.batch
    async def _locate(self, images: list[Squashed]) -> list[tuple[dict[str, Any], int]]:
        return await self._run(images)

    async def _run(self, images: Sequence[Squashed]) -> list[tuple[dict[str, Any], int]]:
        found = await asyncio.get_running_loop().run_in_executor(self._network, self._work, images)
        return [(each, len(images)) for each in found]

    def _work(self, images: Sequence[Squashed]) -> list[dict[str, Any]]:
        self._busy_since = time.monotonic()
        try:
            return self._worker.locate(images)
        finally:
            self._busy_since = None

    def info(self) -> dict[str, Any]:
        """What predicts."""
        return self._worker.info

    def check_health(self) -> None:
        """Asked by Ray Serve, which replaces a replica that raises."""
        if self._busy_since is not None and time.monotonic() - self._busy_since > _STUCK_SECONDS:
            raise RuntimeError(f"a batch has taken more than {_STUCK_SECONDS} s")
