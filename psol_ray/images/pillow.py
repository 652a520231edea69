"""The reference decoder: Pillow, one file at a time. DALI's oracle in tests and its stand-in where it has no wheels."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image

from psol_ray.images.batch import DecodedBatch

__all__ = ["PillowDecoder", "decode_file"]

# Odd EXIF blocks and large images are no reason to fill a terminal. Once and for all, because
# `warnings.catch_warnings` is not safe among threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_file(
    path: str, size: int, region: Sequence[int] | None = None, flip: bool = False
) -> NDArray[np.uint8] | None:
    """One file as a `(size, size, 3)` RGB array, or None where it cannot be read."""
    try:
        rgb = _stored_rgb(path)
        if region is not None:
            x0, y0, x1, y1 = (int(value) for value in region)
            if not (0 <= x0 < x1 <= rgb.width and 0 <= y0 < y1 <= rgb.height):
                return None
            rgb = rgb.crop((x0, y0, x1, y1))
        pixels = np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR))
    # Pillow's plugins raise whatever their format's parser trips over, SyntaxError and struct.error among them.
    except Exception:
        return None
    return pixels[:, ::-1] if flip else pixels


def _stored_rgb(path: str) -> Image.Image:
    with Image.open(path) as image:
        # Pillow turns TIFFs (and nothing else) as their orientation says; boxes are of stored pixels.
        image.getexif().pop(ExifTags.Base.Orientation, None)
        if image.mode.startswith("I;16"):
            # Pillow clips 16 bits at 255 instead of scaling them.
            return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
        return image.convert("RGB")


class PillowDecoder:
    """A `Decoder` made of Pillow and threads."""

    def __init__(self, size: int, *, num_threads: int = 1, gpu: int | None = None) -> None:
        self._size = size
        self._device = torch.device("cpu" if gpu is None else f"cuda:{gpu}")
        self._threads = ThreadPoolExecutor(num_threads)

    def decode(
        self,
        paths: Sequence[str],
        regions_N4: NDArray[np.integer] | None = None,
        flips_N: NDArray[np.bool_] | None = None,
    ) -> DecodedBatch:
        """See `Decoder.decode`."""
        regions: list[Any] = [None] * len(paths) if regions_N4 is None else list(regions_N4)
        flips = [False] * len(paths) if flips_N is None else list(flips_N)
        arrays = list(self._threads.map(decode_file, paths, [self._size] * len(paths), regions, flips))
        black = np.zeros((self._size, self._size, 3), np.uint8)
        images_NHWC = torch.from_numpy(np.stack([black if array is None else array for array in arrays]))
        return DecodedBatch(images_NHWC.to(self._device), np.array([array is not None for array in arrays]))
