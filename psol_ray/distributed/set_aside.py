"""What is written down of a part that was set aside: how its workers died, and which images may be the cause."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from psol_ray.distributed.queue import Death
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.work.jobs import Job

__all__ = ["record_of"]

# More than two batches on a CPU, and one on a GPU, where others are decoded ahead of the one that is reported.
_NUM_NEXT = 32
_NUM_LARGEST = 3


def record_of(job: Job, deaths: Sequence[Death]) -> dict[str, Any]:
    """A job's part, the deaths of those who did it, and suspects, as fit for JSON.

    Suspects are a guess: the images that come after the last one reported done before the last death, among which
    those are that were being decoded; and those with the most pixels by the catalog.
    """
    done = deaths[-1].images_done
    image_ids = job.images["image_id"].to_pylist()
    sizes_N2 = image_sizes(job.images)
    largest = np.argsort(-sizes_N2.prod(axis=1), kind="stable")[:_NUM_LARGEST]
    return {
        "part": job.part or job.name,
        "images": len(image_ids),
        "deaths": [
            {**asdict(death), "time": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(death.time))}
            for death in deaths
        ],
        "suspects": {
            "next_after_the_last_reported": image_ids[(start := done or 0) : start + _NUM_NEXT],
            "most_pixels": [
                {"image_id": image_ids[i], "width": int(sizes_N2[i, 0]), "height": int(sizes_N2[i, 1])} for i in largest
            ],
        },
    }
