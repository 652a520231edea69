"""Photos in this process, one after the other: for a debugger, and for machines on which Ray does not start."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from psol_ray.serving.backend import Answered
from psol_ray.serving.refusal import Refusal
from psol_ray.serving.worker import PhotoWorkerFactory
from psol_ray.work.jobs import Resources

__all__ = ["InProcessPhotos"]


class InProcessPhotos:
    """A `Backend` without batches."""

    def __init__(self, make_worker: PhotoWorkerFactory, resources: Resources) -> None:
        self._worker = make_worker(resources)
        self._thread = ThreadPoolExecutor(1)
        self.info: Mapping[str, Any] = self._worker.info

    async def predict(self, data: bytes) -> Answered:
        """See `Backend.predict`."""
        return Answered(await asyncio.get_running_loop().run_in_executor(self._thread, self._predict, data))

    def _predict(self, data: bytes) -> dict[str, Any] | Refusal:
        try:
            return self._worker.locate([self._worker.squash(data)])[0]
        except Refusal as refusal:
            return refusal

    def replicas(self) -> int:
        """See `Backend.replicas`."""
        return 1
