"""A server like `psol serve`'s own, but one kind of photo kills who decodes it, and another keeps the networks busy."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from psol_ray.cli import main
from psol_ray.prediction.photo import Squashed
from psol_ray.serving import worker
from psol_ray.work.jobs import Resources

DEADLY, SLOW = (255, 0, 255), (0, 0, 255)
SECONDS = 0.5


class FragileWorker(worker.PhotoWorker):
    def locate(self, images: Sequence[Squashed]) -> list[dict[str, Any]]:
        first_pixels = [tuple(next(iter(image.squares.values()))[0, 0].tolist()) for image in images]
        if DEADLY in first_pixels:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(SECONDS * (SLOW in first_pixels))
        return super().locate(images)


class FragileWorkers(worker.PhotoWorkerFactory):
    def __call__(self, resources: Resources) -> worker.PhotoWorker:
        return FragileWorker(self.localizer, self.classifier, self.max_pixels, resources)


if __name__ == "__main__":
    # By its name, under which replicas import it.
    from serving.fragile import FragileWorkers as Importable

    worker.PhotoWorkerFactory = Importable  # type: ignore[misc]
    sys.exit(main())
