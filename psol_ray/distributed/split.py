"""A class larger than an actor's fair share: pieces of it are measured by several, their moments merge here, its
component goes out to all of them, and one draws the boxes from everybody's heat.

The actor that measured a piece keeps its features if they fit into its memory, and the pool has it project them. Where
it has died, or the features did not fit, the piece's files are read again.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import ray

from psol_ray.distributed.jobs import Job
from psol_ray.distributed.packed import pack
from psol_ray.generators.ddt.class_boxes import component_of
from psol_ray.generators.ddt.moments import Component
from psol_ray.generators.ddt.passes import CHUNK, ClassMoments, Heat

__all__ = ["jobs_of_class"]


def jobs_of_class(part: str, images: pa.Table, fair_share: float) -> Sequence[Job]:
    """The jobs with which a class begins: the whole of it, or its pieces.

    Args:
        part: name of its part.
        images: its catalog rows.
        fair_share: images an actor, were all equally busy.
    """
    # In whole numbers: to cut a class of 1,300 in two where the fair share is 1,281 would only cost.
    num_pieces = min(round(len(images) / fair_share), len(images) // CHUNK)
    if num_pieces < 2:
        return [Job(part, (part, pack(images)), len(images), method="locate")]
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
                self._name(index, "measure"),
                (self._name(index), pack(piece)),
                len(piece),
                method="measure",
                part=self._part,
                then=partial(self._take_moments, index),
            )
            for index, piece in enumerate(self._pieces)
        ]
        return self._measured

    def _name(self, index: int, *what: str) -> str:
        return " ".join((self._part, f"{index + 1}/{len(self._pieces)}", *what))

    def _take_moments(self, index: int, moments: ClassMoments) -> Sequence[Job]:
        self._moments[index] = moments
        if len(self._moments) < len(self._pieces):
            return ()
        # In the order of the pieces, whoever was first: sums of floats depend on it in their last digits.
        whole, *others = (self._moments[index] for index in range(len(self._pieces)))
        for other in others:
            whole.merge(other)
        self._component = component_of(self._images, whole)
        return self._last_job() if self._component is None else self._projections()

    def _projections(self) -> Sequence[Job]:
        component_ref = ray.put(self._component)
        return [
            Job(
                self._name(index, "project"),
                (self._name(index), pack(piece), component_ref),
                len(piece),
                method="project",
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
        arguments: tuple[Any, ...] = (self._part, pack(self._images), heats, self._component)
        return [Job(self._part, arguments, len(self._images), method="draw")]
