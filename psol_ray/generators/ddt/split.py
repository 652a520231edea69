"""A class larger than a worker's fair share: pieces of it are measured by several workers, their moments merge in the
driver, its component goes out to all of them, and one draws the boxes from everybody's heat.

The worker that measured a piece keeps its features if they fit into its memory, and is given the projection of that
piece, too (`Job.follows`). Where it has died, or the features did not fit, the piece's files are read again.
"""

import math
from collections.abc import Sequence
from functools import partial

import pyarrow as pa

from psol_ray.generators.ddt.class_boxes import component_of
from psol_ray.generators.ddt.moments import Component
from psol_ray.generators.ddt.passes import CHUNK, ClassMoments, Heat
from psol_ray.work.jobs import Job

__all__ = ["jobs_of_class"]


def jobs_of_class(part: str, images: pa.Table, fair_share: float) -> Sequence[Job]:
    """The jobs with which a class begins: the whole of it, or its pieces.

    Args:
        part: name of its part.
        images: its catalog rows.
        fair_share: images a worker, were all equally busy.
    """
    # In whole numbers: to cut a class of 1,300 in two where the fair share is 1,281 would only cost.
    num_pieces = min(round(len(images) / fair_share), len(images) // CHUNK)
    if num_pieces < 2:
        return [Job(part, images)]
    return _SplitClass(part, images, num_pieces).first_jobs()


class _SplitClass:
    def __init__(self, part: str, images: pa.Table, num_pieces: int) -> None:
        self._part, self._images = part, images
        rows = CHUNK * math.ceil(len(images) / num_pieces / CHUNK)
        self._pieces = [images.slice(start, rows) for start in range(0, len(images), rows)]
        self._moments: dict[int, ClassMoments] = {}
        self._heats: dict[int, Heat] = {}
        self._component: Component | None = None
        self._measured: Sequence[Job] = ()

    def first_jobs(self) -> Sequence[Job]:
        self._measured = [
            Job(
                self._name(index),
                piece,
                method="measure",
                part=self._part,
                then=partial(self._take_moments, index),
            )
            for index, piece in enumerate(self._pieces)
        ]
        return self._measured

    def _name(self, index: int) -> str:
        """The same for both passes over a piece, whose progress is one, and whose features are kept under it."""
        return f"{self._part} {index + 1}/{len(self._pieces)}"

    def _take_moments(self, index: int, moments: ClassMoments) -> Sequence[Job]:
        self._moments[index] = moments
        if len(self._moments) < len(self._pieces):
            return ()
        # In the order of the pieces, whoever was first: sums of floats depend on it in their last digits.
        whole, *others = (self._moments[index] for index in range(len(self._pieces)))
        for other in others:
            whole.merge(other)
        self._component = component_of(self._images, whole)
        return self._last_job() if self._component is None else self._projections(self._component)

    def _projections(self, component: Component) -> Sequence[Job]:
        return [
            Job(
                self._name(index),
                piece,
                method="project",
                arguments=(component,),
                part=self._part,
                then=partial(self._take_heat, index),
                follows=self._measured[index],
            )
            for index, piece in enumerate(self._pieces)
        ]

    def _take_heat(self, index: int, heat: Heat) -> Sequence[Job]:
        self._heats[index] = heat
        return self._last_job() if len(self._heats) == len(self._pieces) else ()

    def _last_job(self) -> Sequence[Job]:
        heats = [self._heats[index] for index in sorted(self._heats)]
        return [Job(self._part, self._images, method="draw", arguments=(heats, self._component))]
