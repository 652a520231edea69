"""The two passes over a class: moments of its features, then their projections.

One reading of the files serves both where the features fit into memory; else the files are read twice. Sums run over
chunks of rows that do not depend on where batches end, so that neither batch size nor memory nor a split of the class
changes a box.

Shape suffixes: N images, h w cells of the feature map, C channels, R descriptors (cells of several images).
"""

import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from psol_ray.generators.ddt.moments import Component, Moments
from psol_ray.images.batches import has_size
from psol_ray.tables.schemas import TRAIN

__all__ = ["CHUNK", "Accept", "Chunk", "ClassMoments", "Heat", "Read", "fits", "measure", "project", "project_kept"]

CHUNK = 64
"""Images whose products run as one; a class is split at multiples of it."""

Accept = Callable[[int, torch.Tensor, NDArray[np.bool_]], None]
"""Is given a first row, features `(N, h, w, C)` of consecutive rows, and which of them could be read."""

Read = Callable[[Accept], None]
"""Reads a class's images once, in order, and returns when all were accepted."""


class Chunk(NamedTuple):
    """Features of consecutive images of a class; where `ok_N` is False they mean nothing."""

    start: int
    map_Nhwc: torch.Tensor
    ok_N: NDArray[np.bool_]

    def descriptors(self, wanted_N: NDArray[np.bool_]) -> torch.Tensor:
        """`(R, C)` of the wanted images that could be read."""
        rows = np.flatnonzero(wanted_N & self.ok_N)
        if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
            # Nearly always, since a class's training images come first: nothing to copy, and no GPU to wait for.
            map_Nhwc = self.map_Nhwc[rows[0] : rows[-1] + 1]
        else:
            map_Nhwc = self.map_Nhwc[torch.from_numpy(rows).to(self.map_Nhwc.device)]
        return map_Nhwc.reshape(-1, map_Nhwc.shape[-1])


class Heat(NamedTuple):
    """Projections of a class's descriptors on its component, `(N, h, w)` float32, and which images could be read."""

    heat_Nhw: NDArray[np.float32]
    ok_N: NDArray[np.bool_]


@dataclass(frozen=True)
class ClassMoments:
    """Moments of a class's training images, and of its others, which count where no training image could be read."""

    train: Moments
    rest: Moments

    @classmethod
    def empty(cls, num_channels: int, device: torch.device | str = "cpu") -> "ClassMoments":
        return cls(Moments.empty(num_channels, device), Moments.empty(num_channels, device))

    def merge(self, other: "ClassMoments") -> None:
        """Add those of another piece of the class."""
        self.train.merge(other.train)
        self.rest.merge(other.rest)

    def cpu(self) -> "ClassMoments":
        """A copy in main memory, fit to travel."""
        return ClassMoments(self.train.cpu(), self.rest.cpu())

    def component(self) -> Component | None:
        """The class's first principal component, not oriented yet; None where no image could be read.

        Raises:
            ValueError: a feature was not finite.
        """
        moments = self.train if self.train.count else self.rest
        return moments.component() if moments.count else None


def fits(map_Nhwc: torch.Tensor, num_images: int, max_bytes: float) -> bool:
    """Whether the features of so many images like these take no more memory than that."""
    return map_Nhwc[0].nbytes * num_images <= max_bytes


def measure(images: pa.Table, read: Read, max_bytes: float) -> tuple[ClassMoments, list[Chunk] | None]:
    """First pass.

    Args:
        images: catalog rows of a class, or of a piece of it that starts at a multiple of `CHUNK`.
        read: reads them.
        max_bytes: features are kept for the second pass if they take no more.

    Returns:
        the moments, on the device of the features, and the features, or None where they take too much memory.
    """
    is_train_N = images.column("split").to_numpy(zero_copy_only=False) == TRAIN
    moments: list[ClassMoments] = []
    kept: list[Chunk] | None = []

    def use(chunk: Chunk) -> None:
        nonlocal kept
        if not moments:
            moments.append(ClassMoments.empty(chunk.map_Nhwc.shape[-1], chunk.map_Nhwc.device))
            if not fits(chunk.map_Nhwc, len(images), max_bytes):
                kept = None
        train_N = is_train_N[chunk.start : chunk.start + len(chunk.ok_N)]
        moments[0].train.update(chunk.descriptors(train_N))
        moments[0].rest.update(chunk.descriptors(~train_N))
        if kept is not None:
            kept.append(chunk)

    read(_Chunker(images, use).accept)
    return moments[0], kept


def project(images: pa.Table, read: Read, component: Component) -> Heat:
    """Second pass, which reads the files again."""
    parts: list[Heat] = []
    read(_Chunker(images, lambda chunk: parts.append(project_kept([chunk], component))).accept)
    return Heat(np.concatenate([part.heat_Nhw for part in parts]), np.concatenate([part.ok_N for part in parts]))


def project_kept(kept: list[Chunk], component: Component) -> Heat:
    """Second pass over features that were kept."""
    component = component.to(kept[0].map_Nhwc.device)
    # One copy to main memory, and so one wait for a GPU.
    heat_Nhw = torch.cat([component.project(chunk.map_Nhwc) for chunk in kept]).cpu().numpy()
    return Heat(heat_Nhw, np.concatenate([chunk.ok_N for chunk in kept]))


class _Chunker:
    """Cuts features that arrive in pieces of any length into chunks."""

    def __init__(self, images: pa.Table, use: Callable[[Chunk], None]) -> None:
        self._sized_N = has_size(images)
        self._use = use
        self._chunk: Chunk | None = None

    def accept(self, start: int, map_Nhwc: torch.Tensor, ok_N: NDArray[np.bool_]) -> None:
        """See `Accept`."""
        taken = 0
        while taken < len(ok_N):
            row = start + taken
            offset = row % CHUNK
            if offset == 0:
                num_images = min(CHUNK, len(self._sized_N) - row)
                self._chunk = Chunk(row, _empty_like(map_Nhwc, num_images), np.zeros(num_images, bool))
            assert self._chunk is not None, "rows must arrive in order"
            count = min(len(self._chunk.ok_N) - offset, len(ok_N) - taken)
            self._chunk.map_Nhwc[offset : offset + count] = map_Nhwc[taken : taken + count]
            self._chunk.ok_N[offset : offset + count] = ok_N[taken : taken + count] & self._sized_N[row : row + count]
            taken += count
            if offset + count == len(self._chunk.ok_N):
                chunk, self._chunk = self._chunk, None
                self._use(chunk)


def _empty_like(map_Nhwc: torch.Tensor, num_images: int) -> torch.Tensor:
    shape = (num_images, *map_Nhwc.shape[1:])
    if map_Nhwc.device.type != "cpu":
        return torch.empty(shape, dtype=map_Nhwc.dtype, device=map_Nhwc.device)
    # Not from malloc: what is kept from one batch to the next would lie in the middle of the memory that the network
    # has just freed, and its next activations, 800 MB in one piece for VGG16, would need fresh memory every time.
    memory = mmap.mmap(-1, math.prod(shape) * map_Nhwc.element_size())
    return torch.frombuffer(memory, dtype=map_Nhwc.dtype).view(shape)
