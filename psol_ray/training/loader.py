"""Batches of random crops with their targets, the same for a seed on any number of workers and with any decoder."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from psol_ray.geometry.crops import boxes_in_crops, draw_crops
from psol_ray.images.batch import Decoder
from psol_ray.images.batches import Absences, decode_what_is_here
from psol_ray.images.prefetch import prefetch
from psol_ray.storage.addresses import Address, image_addresses
from psol_ray.storage.ahead import fetch_ahead
from psol_ray.training.training_set import TrainingSet
from psol_ray.training.unusable import Unusable

__all__ = ["StepBatches", "TrainingBatch", "TrainingLoader"]

# Images of which those far away are asked for: some seconds of them, and 25 MB.
_FETCHED_AHEAD = 256


@dataclass(frozen=True)
class TrainingBatch:
    """Images that a worker takes at once.

    `images_NHWC` uint8; `boxes_N4` `(x, y, w, h)` as fractions of the crop, or None; `labels_N` int64. An image
    with `ok_N` False could not be read, or is away: it is black and must not count in the loss. It keeps its place,
    because a rank without images would stall the others.
    """

    images_NHWC: torch.Tensor
    boxes_N4: torch.Tensor | None
    labels_N: torch.Tensor
    ok_N: torch.Tensor
    unusable: Unusable = field(default_factory=Unusable)
    """How many of them are not ok, and why."""


StepBatches = list[TrainingBatch]
"""A worker's images of one step."""


class _Cut(NamedTuple):
    """Images of one batch: their rows of the training set, where they are, their crops; and whether it is the last
    batch of its step."""

    rows_N: NDArray[np.intp]
    addresses: list[Address]
    regions_N4: NDArray[np.int64]
    flips_N: NDArray[np.bool_]
    ends_step: bool


class TrainingLoader:
    """Shuffles globally, gives this rank its share of every step, decodes ahead.

    Which images a step has, and their crops, depend on the seed and the step alone: not on the number of workers, nor
    on how often the run was interrupted.

    Images that are away are waited for, but not for each anew (`Absences`).
    """

    def __init__(
        self,
        training_set: TrainingSet,
        decoders: Sequence[Decoder],
        data_root: str,
        *,
        batch_size: int,
        min_crop_area: float,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        micro_batch_size: int | None = None,
    ) -> None:
        """Args:
        training_set: the training images.
        decoders: made with `regions=True`; each works on a batch of its own.
        data_root: folder the image ids are below.
        batch_size: images a step over all workers; shares differ by one where they do not divide it.
        min_crop_area: see `draw_crops`.
        seed: of shuffles and crops.
        rank, world_size: which share is this worker's.
        micro_batch_size: the most images in a batch; None is the whole share.
        """
        self._training_set, self._decoders, self._root = training_set, decoders, data_root
        self._batch_size, self._min_crop_area, self._seed = batch_size, min_crop_area, seed
        self._rank, self._world_size = rank, world_size
        self._micro_batch_size = micro_batch_size or batch_size
        self._absences = Absences()
        # Of addresses that are away.
        self._ids: dict[Address, str] = {}

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return -(-len(self._training_set) // self._batch_size)

    @property
    def away(self) -> set[str]:
        """Ids of this rank's images that could not be opened when they were last wanted; batches are made ahead, and so
        is this."""
        # One that a thread has just noted may not have its id yet.
        return {self._ids[address] for address in self._absences.known if address in self._ids}

    def order(self, epoch: int) -> NDArray[np.intp]:
        """Every image once in a random order, and images from its start again to fill the last step.

        Full steps on every rank: uneven shards would stall the group.
        """
        shuffled = np.random.default_rng((self._seed, epoch)).permutation(len(self._training_set))
        return np.resize(shuffled, self.steps * self._batch_size)

    def steps_of(self, first: int, last: int) -> Iterator[StepBatches]:
        """This rank's images of steps `first` to `last - 1`, counted over all epochs.

        Across epochs without a pause: the next epoch's first images are decoded while the last steps run.
        """
        depth = -(-_FETCHED_AHEAD // min(self._micro_batch_size, self._batch_size))
        cuts = fetch_ahead(self._cuts(first, last), lambda cut: cut.addresses, depth)
        return _regroup(prefetch(cuts, [partial(self._load, decoder) for decoder in self._decoders]))

    def _cuts(self, first: int, last: int) -> Iterator[_Cut]:
        for epoch in range(first // self.steps, -(-last // self.steps)):
            order = self.order(epoch).reshape(self.steps, self._batch_size)
            for step in range(max(first - epoch * self.steps, 0), min(last - epoch * self.steps, self.steps)):
                rows_B = order[step]
                regions_B4, flips_B = self._draw(epoch, step, rows_B)
                mine = np.arange(self._rank, self._batch_size, self._world_size)
                # Pieces of like size: a last one of one image is more than batch normalisation can take.
                pieces = np.array_split(mine, -(-len(mine) // self._micro_batch_size))
                for i, piece in enumerate(pieces, start=1):
                    images = self._training_set.images.take(pa.array(rows_B[piece]))
                    addresses = image_addresses(self._root, images)
                    yield _Cut(rows_B[piece], addresses, regions_B4[piece], flips_B[piece], i == len(pieces))

    def _draw(self, epoch: int, step: int, rows_B: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Crops of a whole step, of which this rank needs its share: array by array that is cheap, image by image not.

        Which crop an image gets depends neither on who has it nor on where the run began.
        """
        # Never 0 at the end, which to NumPy is as nothing: those are the numbers of the shuffle.
        rng = np.random.default_rng((self._seed, epoch, 1 + step))
        flips_B = rng.random(len(rows_B)) < 0.5
        boxes_N4 = self._training_set.boxes_N4
        boxes_B4 = None if boxes_N4 is None else boxes_N4[rows_B]
        return draw_crops(rng, self._training_set.sizes_N2[rows_B], self._min_crop_area, boxes_B4), flips_B

    def _load(self, decoder: Decoder, item: tuple[_Cut, ExitStack]) -> tuple[TrainingBatch, bool]:
        cut, fetching = item
        with fetching:
            decoded, away = decode_what_is_here(decoder, cut.addresses, self._absences, cut.regions_N4, cut.flips_N)
        num_away = sum(address in away for address in cut.addresses)
        if away:
            image_ids = self._training_set.images.column("image_id").take(pa.array(cut.rows_N)).to_pylist()
            self._ids |= dict(zip(cut.addresses, image_ids, strict=True))
        device = decoded.images_NHWC.device
        batch = TrainingBatch(
            images_NHWC=decoded.images_NHWC,
            boxes_N4=None if (boxes_N4 := self._targets(cut)) is None else _move(boxes_N4, device),
            labels_N=_move(self._training_set.labels_N[cut.rows_N], device),
            ok_N=_move(decoded.ok_N, device),
            unusable=Unusable(num_away, int((~decoded.ok_N).sum()) - num_away),
        )
        return batch, cut.ends_step

    def _targets(self, cut: _Cut) -> NDArray[np.float32] | None:
        boxes_N4 = self._training_set.boxes_N4
        if boxes_N4 is None:
            return None
        return boxes_in_crops(boxes_N4[cut.rows_N], cut.regions_N4, cut.flips_N).astype(np.float32)


def _move(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """To a GPU without waiting for what it has to do before."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _regroup(loaded: Iterable[tuple[TrainingBatch, bool]]) -> Iterator[StepBatches]:
    """Batches, each with whether it is the last of its step, to steps."""
    batches: StepBatches = []
    for batch, ends_step in loaded:
        batches.append(batch)
        if ends_step:
            yield batches
            batches = []
