"""Sizes of images from their headers alone."""

import os
import socket
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from psol_ray.errors import UserError

__all__ = ["read_sizes"]


def read_sizes(root: str, image_ids: Sequence[str]) -> NDArray[np.int32]:
    """Width and height of images as stored, EXIF orientation ignored; no pixel is decoded.

    The format is sniffed from the content, so a PNG named .JPEG is as good as any.

    Returns:
        int32 of shape (N, 2); (0, 0) for a file that is missing, empty, no image, cut off within its header,
        or beyond Pillow's limit against decompression bombs (about 179 million pixels).

    Raises:
        UserError: `root` is not a folder on this machine. Otherwise a node that lacks a mount would declare all
            its images unreadable.
    """
    if not os.path.isdir(root):
        host = socket.gethostname()
        raise UserError(f"data.root {root!r} is not a folder on {host}, expected the images; mount it there")
    sizes_N2 = np.zeros((len(image_ids), 2), np.int32)
    with warnings.catch_warnings():
        # Odd EXIF blocks and large images are no reason to fill a terminal.
        warnings.simplefilter("ignore")
        for i, image_id in enumerate(image_ids):
            sizes_N2[i] = _stored_size(os.path.join(root, image_id))
    return sizes_N2


def _stored_size(path: str) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                # Of all formats, Pillow turns only TIFF as its orientation says, and `size` with it.
                return image.tag_v2[TiffImagePlugin.IMAGEWIDTH], image.tag_v2[TiffImagePlugin.IMAGELENGTH]
            return image.size
    # Pillow's plugins raise whatever their parser trips over, SyntaxError and struct.error among them.
    except Exception:
        return 0, 0
