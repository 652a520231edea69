"""The decoder where DALI is installed: ordinary JPEGs by DALI, everything else by Pillow.

So a file has the same pixels in every batch, and whether it is an image is for Pillow to say, here as where there is
no DALI. On a CPU nothing is lost by it: Pillow is as fast with PNG and faster with WebP, BMP and TIFF.

A bad file destroys a DALI pipeline and is not always named in the error. What passes for an ordinary JPEG and is none
is rare, though: then Pillow tells the bad ones from the good, and these are decoded again.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from psol_ray.images.batch import DecodedBatch
from psol_ray.images.dali_pipeline import DaliPipeline, dali_available
from psol_ray.images.files import Source, known, read_whole
from psol_ray.images.jpeg import ordinary_jpeg_size
from psol_ray.images.limits import MAX_PIXELS
from psol_ray.images.pillow import attempt_file, region_fits
from psol_ray.storage.addresses import Address

__all__ = ["DaliDecoder", "dali_available"]

# No JPEG of an image that may be decoded is larger; what is, is not read as a whole.
_MOST_BYTES = 1 << 28

# Files of a batch whose reading is timed, and the least time that any of them takes where they are far away. One of 100
# kB that is near takes 0.1 ms.
_TRIED, _FAR_SECONDS = 4, 1e-3


@dataclass(frozen=True)
class _Jpeg:
    """An ordinary JPEG."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True)
class _Look:
    """A file as an ordinary JPEG, None if it is another; and what Pillow may open."""

    jpeg: _Jpeg | None
    source: Source


@dataclass(frozen=True)
class _Batch:
    paths: Sequence[Address]
    regions_N4: NDArray[np.int32] | None
    flips_N: NDArray[np.bool_]

    def region(self, row: int) -> list[int] | None:
        return None if self.regions_N4 is None else self.regions_N4[row].tolist()


_Pixels = dict[int, torch.Tensor]
"""Images of a batch by their rows."""


class DaliDecoder:
    """A `Decoder` made of a DALI pipeline, and of Pillow in threads."""

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        regions: bool = False,
        num_threads: int = 1,
        gpu: int | None = None,
        hw_share: float = 1.0,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._size, self._max_pixels = size, max_pixels
        self._device = torch.device("cpu" if gpu is None else f"cuda:{gpu}")
        self._pipeline = DaliPipeline(size, batch_size, regions, num_threads, gpu, hw_share)
        self._threads = ThreadPoolExecutor(num_threads)
        # A thread that was told to stop may still be decoding its last batch when the next one starts.
        self._alone = threading.Lock()

    def decode(
        self,
        paths: Sequence[Address],
        regions_N4: NDArray[np.integer] | None = None,
        flips_N: NDArray[np.bool_] | None = None,
    ) -> DecodedBatch:
        """See `Decoder.decode`."""
        regions = None if regions_N4 is None else np.asarray(regions_N4, np.int32)
        batch = _Batch(paths, regions, np.zeros(len(paths), bool) if flips_N is None else np.asarray(flips_N))
        with self._alone:
            looks = known(paths, self._look_at(paths))
            jpegs = self._find_jpegs(batch, looks)
            others = {row: look.source for row, look in enumerate(looks) if row not in jpegs}
            attempts = self._start_pillow(batch, others)
            pixels: _Pixels = {}
            for some in self._cut(jpegs):
                images_NHWC = self._try(batch, some)
                if images_NHWC is not None and len(some) == len(paths):
                    return DecodedBatch(images_NHWC, np.ones(len(paths), bool))
                pixels |= self._take_apart(batch, some) if images_NHWC is None else zip(some, images_NHWC, strict=True)
            return self._join(len(paths), pixels | self._end_pillow(batch, others, attempts))

    def _look_at(self, paths: Sequence[Address]) -> list[_Look | OSError]:
        """By this thread alone, or by all of them where files are far away, which the first few tell.

        Threads that give the interpreter's lock away at every file, and wait for it again, take it from whoever
        launches the network's kernels: on a GPU of 4,200 images/s, sixteen of them left 1,750.
        """
        looks: list[_Look | OSError] = []
        seconds: list[float] = []
        for path in paths[:_TRIED]:
            started = time.perf_counter()
            looks.append(_look(path))
            seconds.append(time.perf_counter() - started)
        all_threads = min(seconds, default=0) > _FAR_SECONDS
        return looks + list((self._threads.map if all_threads else map)(_look, paths[_TRIED:]))

    def _find_jpegs(self, batch: _Batch, looks: Sequence[_Look]) -> dict[int, _Jpeg]:
        """The ordinary JPEGs by their rows, those left out that are too large or lack their region."""
        return {
            row: jpeg
            for row, look in enumerate(looks)
            if (jpeg := look.jpeg) is not None
            and jpeg.width * jpeg.height <= self._max_pixels
            and ((region := batch.region(row)) is None or region_fits(region, jpeg.width, jpeg.height))
        }

    def _cut(self, jpegs: dict[int, _Jpeg]) -> Iterator[dict[int, _Jpeg]]:
        """All at once, unless they have more pixels than one image may have: DALI holds all of them in memory."""
        some: dict[int, _Jpeg] = {}
        pixels = 0
        for row, jpeg in jpegs.items():
            pixels += jpeg.width * jpeg.height
            if some and pixels > self._max_pixels:
                yield some
                some, pixels = {}, jpeg.width * jpeg.height
            some[row] = jpeg
        if some:
            yield some

    def _try(self, batch: _Batch, jpegs: dict[int, _Jpeg]) -> torch.Tensor | None:
        rows = list(jpegs)
        regions_N4 = None if batch.regions_N4 is None else batch.regions_N4[rows]
        return self._pipeline.decode([jpeg.data for jpeg in jpegs.values()], regions_N4, batch.flips_N[rows])

    def _take_apart(self, batch: _Batch, jpegs: dict[int, _Jpeg]) -> _Pixels:
        """Those of a batch on which DALI failed: without what Pillow refuses, or one by one."""
        sources = {row: jpeg.data for row, jpeg in jpegs.items()}
        by_pillow = self._end_pillow(batch, sources, self._start_pillow(batch, sources))
        good = {row: jpegs[row] for row in by_pillow}
        if len(good) < len(jpegs) and good and (images_NHWC := self._try(batch, good)) is not None:
            return dict(zip(good, images_NHWC, strict=True))
        if len(jpegs) == 1:
            return by_pillow
        found = {row: self._try(batch, {row: jpeg}) for row, jpeg in good.items()}
        return {row: by_pillow[row] if image_1HWC is None else image_1HWC[0] for row, image_1HWC in found.items()}

    def _start_pillow(self, batch: _Batch, sources: Mapping[int, Source]) -> list[Future[Any]]:
        def attempt(row: int, source: Source) -> Any:
            return attempt_file(source, self._size, batch.region(row), bool(batch.flips_N[row]), self._max_pixels)

        return [self._threads.submit(attempt, *item) for item in sources.items()]

    def _end_pillow(self, batch: _Batch, rows: Iterable[int], attempts: list[Future[Any]]) -> _Pixels:
        arrays = known([batch.paths[row] for row in rows], [attempt.result() for attempt in attempts])
        found = zip(rows, arrays, strict=True)
        images = {row: array for row, array in found if array is not None}
        return dict(zip(images, self._pipeline.stream.copied(list(images.values())), strict=True)) if images else {}

    def _join(self, number: int, pixels: _Pixels) -> DecodedBatch:
        shape = (number, self._size, self._size, 3)

        def join() -> torch.Tensor:
            if self._device.type == "cuda":
                images_NHWC = torch.zeros(shape, dtype=torch.uint8, device=self._device)
                for row, image_HWC in pixels.items():
                    images_NHWC[row] = image_HWC
                return images_NHWC
            # By NumPy, as in the pipeline.
            array_NHWC = np.zeros(shape, np.uint8)
            for row, image_HWC in pixels.items():
                array_NHWC[row] = image_HWC
            return torch.from_numpy(array_NHWC)

        return DecodedBatch(self._pipeline.stream.handed_over(join), np.isin(np.arange(number), list(pixels)))


def _look(address: Address) -> _Look | OSError:
    if not address:
        return _Look(None, "")
    try:
        data, source = read_whole(address, b"\xff\xd8\xff", _MOST_BYTES)
    except OSError as error:
        return error
    size = None if data is None else ordinary_jpeg_size(data)
    return _Look(None if data is None or size is None else _Jpeg(data, *size), source)
