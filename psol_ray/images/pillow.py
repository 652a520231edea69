"""The reference decoder: Pillow, one file at a time. DALI's oracle in tests and its stand-in where it has no wheels."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import repeat
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from psol_ray.images.batch import DecodedBatch
from psol_ray.images.cuda import SideStream
from psol_ray.images.files import Source, known, open_image_file
from psol_ray.images.limits import MAX_PIXELS
from psol_ray.images.stored import open_stored, stored_rgb, stored_size
from psol_ray.storage.addresses import Address

__all__ = ["LARGE", "PillowDecoder", "attempt_file", "decode_file", "region_fits"]

LARGE = 1 << 25
"""Of images with more pixels than this, one at a time is decoded, or every thread could need a gigabyte."""
_one_large = threading.Lock()


def decode_file(
    source: Source,
    size: int,
    region: Sequence[int] | None = None,
    flip: bool = False,
    *,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8] | None:
    """One file as a `(size, size, 3)` RGB array, or None where it is no image, is too large, or has no such region.

    Raises:
        OSError: it cannot be opened or read.
    """
    if not source:
        return None
    with open_image_file(source) as file:
        try:
            pixels = _decode(file, size, region, max_pixels)
        # Pillow's plugins raise whatever their format's parser trips over, SyntaxError and struct.error among them.
        except Exception:
            return None
    return pixels[:, ::-1] if flip and pixels is not None else pixels


def attempt_file(
    source: Source, size: int, region: Sequence[int] | None, flip: bool, max_pixels: int
) -> NDArray[np.uint8] | OSError | None:
    """`decode_file`, but a file that is away is an outcome: all of a batch are to be known, not the first alone."""
    try:
        return decode_file(source, size, region, flip, max_pixels=max_pixels)
    except OSError as error:
        return error


def _decode(file: IO[bytes], size: int, region: Sequence[int] | None, max_pixels: int) -> NDArray[np.uint8] | None:
    with open_stored(file, max_pixels) as image:
        width, height = stored_size(image)
        with _one_large if width * height > LARGE else nullcontext():
            rgb = stored_rgb(image)
            if region is not None:
                if not region_fits(region, *rgb.size):
                    return None
                x0, y0, x1, y1 = (int(value) for value in region)
                rgb = rgb.crop((x0, y0, x1, y1))
            return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR))


def region_fits(region: Sequence[int], width: int, height: int) -> bool:
    """Whether a region `(x0, y0, x1, y1)` has pixels and none outside the image."""
    x0, y0, x1, y1 = region
    return bool(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height)


class PillowDecoder:
    """A `Decoder` made of Pillow and threads."""

    def __init__(
        self, size: int, *, num_threads: int = 1, gpu: int | None = None, max_pixels: int = MAX_PIXELS
    ) -> None:
        self._size = size
        self._stream = SideStream(torch.device("cpu" if gpu is None else f"cuda:{gpu}"))
        self._threads = ThreadPoolExecutor(num_threads)
        self._max_pixels = max_pixels

    def decode(
        self,
        paths: Sequence[Address],
        regions_N4: NDArray[np.integer] | None = None,
        flips_N: NDArray[np.bool_] | None = None,
    ) -> DecodedBatch:
        """See `Decoder.decode`."""
        regions: list[Any] = [None] * len(paths) if regions_N4 is None else list(regions_N4)
        flips = [False] * len(paths) if flips_N is None else list(flips_N)
        sizes, limits = repeat(self._size), repeat(self._max_pixels)
        outcomes = list(self._threads.map(attempt_file, paths, sizes, regions, flips, limits))
        arrays = known(paths, outcomes)
        black = np.zeros((self._size, self._size, 3), np.uint8)
        images_NHWC = self._stream.copied([black if array is None else array for array in arrays])
        return DecodedBatch(images_NHWC, np.array([array is not None for array in arrays]))
