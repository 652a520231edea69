"""Sizes of images from their headers alone."""

import errno
import os
import socket
import stat
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from psol_ray.errors import UserError
from psol_ray.images.picture_formats import picture_formats

__all__ = ["AWAY", "read_sizes"]

AWAY = (-1, -1)
"""The size of an image whose file cannot be opened or read here."""

_NO_IMAGE = (0, 0)

# Pillow's own complaints have no number; the two others come of seeking where a broken header says.
_OF_CONTENT = (None, errno.EINVAL, errno.EOVERFLOW)


def read_sizes(root: str, image_ids: Sequence[str]) -> NDArray[np.int32]:
    """Width and height of images as stored, EXIF orientation ignored; no pixel is decoded.

    The format is sniffed from the content, so a PNG named .JPEG is as good as any. Of several pictures in a file (an
    animated GIF, a TIFF of many pages) it is the first one's size, which is what decoders take.

    Returns:
        int32 of shape (N, 2): (0, 0) for a file that is empty, no image, cut off within its header, no regular file,
        or beyond Pillow's limit against decompression bombs (about 179 million pixels); `AWAY` for one that is missing
        or cannot be opened or read, which says nothing of the image.

    Raises:
        UserError: `root` is not a folder on this machine. Otherwise a node that lacks a mount would declare all
            its images away, one by one.
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
        # A pipe would wait for whoever writes into it, and a tape would rewind.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return _NO_IMAGE
        with Image.open(path, formats=picture_formats()) as image:
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                # Of all formats, Pillow turns only TIFF as its orientation says, and `size` with it.
                return image.tag_v2[TiffImagePlugin.IMAGEWIDTH], image.tag_v2[TiffImagePlugin.IMAGELENGTH]
            return image.size
    except OSError as error:
        return _NO_IMAGE if error.errno in _OF_CONTENT else AWAY
    # Pillow's plugins raise whatever their parser trips over, SyntaxError and struct.error among them.
    except Exception:
        return _NO_IMAGE
