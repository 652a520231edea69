"""The pixels of an image as they are stored, by Pillow: which formats, how large, and how they become RGB.

Whatever opens an image does it here, so that catalog, decoders and pages agree on what an image is.
"""

import io
import struct
import threading
import warnings
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import IO

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from psol_ray.images.limits import MAX_PIXELS
from psol_ray.images.picture_formats import picture_formats, picture_suffixes

__all__ = ["header_size", "open_stored", "sniff_suffix", "stored_rgb", "stored_size", "turn"]

# Odd EXIF blocks and large images are no reason to fill a terminal. Once and for all, because
# `warnings.catch_warnings` is not safe among threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


# Of images with more pixels than this, one at a time is decoded, or every thread could need a gigabyte.
_LARGE = 1 << 25
_one_large = threading.Lock()


def turn(width: int, height: int) -> AbstractContextManager[object]:
    """To be held while an image of this size is decoded."""
    return _one_large if width * height > _LARGE else nullcontext()


def open_stored(file: IO[bytes], max_pixels: int = MAX_PIXELS, formats: tuple[str, ...] | None = None) -> Image.Image:
    """Open an image, by its content alone; no pixel is decoded. Formats are those of `picture_formats`, or fewer.

    Raises:
        Exception: it is no image, or has more than `max_pixels`. Pillow's plugins raise whatever their parsers trip
            over, SyntaxError and struct.error among them.
    """
    # Pillow refuses what has twice this. It looks also at what only becomes known later, such as an icon's pictures.
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = -(-max_pixels // 2)
    image = Image.open(file, formats=formats or picture_formats())
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Of all formats, Pillow turns only TIFF as its orientation says; boxes are of stored pixels.
        image.getexif().pop(ExifTags.Base.Orientation, None)
    width, height = stored_size(image)
    if width * height > max_pixels:
        raise Image.DecompressionBombError(f"{width} x {height} pixels are more than {max_pixels}")
    return image


def header_size(data: bytes) -> tuple[int, int]:
    """Width and height as stored, however many pixels these are: none is decoded.

    Raises:
        Exception: see `open_stored`.
    """
    try:
        return stored_size(open_stored(io.BytesIO(data)))
    except Image.DecompressionBombError:
        # Pillow's limit is the whole process's, and stays as it is: its formats' readers themselves have none.
        for name in picture_formats():
            reader, accepts = Image.OPEN[name]
            if accepts is None or accepts(data[:16]) is True:
                # What such a reader does not like, another may.
                with suppress(SyntaxError, IndexError, TypeError, struct.error):
                    return stored_size(reader(io.BytesIO(data), ""))
        raise


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as stored, of an image from `open_stored`."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # `size` is already that of the turned image.
        return image.tag_v2[TiffImagePlugin.IMAGEWIDTH], image.tag_v2[TiffImagePlugin.IMAGELENGTH]
    return image.size


def sniff_suffix(data: bytes) -> str:
    """The suffix of a file with this content; JPEG's for what is no image, as more are called that than anything."""
    try:
        suffix = f".{open_stored(io.BytesIO(data)).format}".lower()
    except Exception:  # see `open_stored`
        return ".jpg"
    return suffix if suffix in picture_suffixes() - {".jpeg", ".mpo"} else ".jpg"


def stored_rgb(image: Image.Image) -> Image.Image:
    """The first picture of an image from `open_stored`, in RGB; transparency is left out.

    Where Pillow would clip at 255, of integers of more than 8 bits the 8 above the lowest 8 count (16 bits become 8,
    as with 16-bit RGB), and floating-point values are stretched, the lowest to black, the highest to white.
    """
    if image.mode.startswith("I"):
        levels_HW = np.asarray(image) >> 8
        return Image.fromarray(levels_HW.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(_stretch(np.asarray(image))).convert("RGB")
    return image.convert("RGB")


def _stretch(values_HW: np.ndarray) -> np.ndarray:
    finite_HW = np.isfinite(values_HW)
    low, high = (values_HW[finite_HW].min(), values_HW[finite_HW].max()) if finite_HW.any() else (0, 0)
    with np.errstate(all="ignore"):
        unit_HW = (values_HW - low) / (high - low)
    return (np.nan_to_num(unit_HW, nan=0, posinf=1, neginf=0) * 255).round().astype(np.uint8)
