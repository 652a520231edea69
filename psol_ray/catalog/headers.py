"""Sizes of images from their headers alone."""

import errno
import os
import socket
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.images.files import open_image_file
from psol_ray.images.limits import MAX_PIXELS
from psol_ray.images.stored import open_stored, stored_size

__all__ = ["AWAY", "read_sizes"]

AWAY = (-1, -1)
"""The size of an image whose file cannot be opened or read here."""

_NO_IMAGE = (0, 0)

# Pillow's own complaints have no number; the two others come of seeking where a broken header says.
_OF_CONTENT = (None, errno.EINVAL, errno.EOVERFLOW)


def read_sizes(root: str, image_ids: Sequence[str], max_pixels: int = MAX_PIXELS) -> NDArray[np.int32]:
    """Width and height of images as stored, EXIF orientation ignored; no pixel is decoded.

    The format is sniffed from the content, so a PNG named .JPEG is as good as any. Of several pictures in a file (an
    animated GIF, a TIFF of many pages) it is the first one's size, which is what decoders take.

    Returns:
        int32 of shape (N, 2): (0, 0) for a file that is empty, no image, cut off within its header, no regular file,
        or of more than `max_pixels`; `AWAY` for one that is missing or cannot be opened or read, which says nothing of
        the image.

    Raises:
        UserError: `root` is not a folder on this machine. Otherwise a node that lacks a mount would declare all
            its images away, one by one.
    """
    if not os.path.isdir(root):
        host = socket.gethostname()
        raise UserError(f"data.root {root!r} is not a folder on {host}, expected the images; mount it there")
    sizes_N2 = np.zeros((len(image_ids), 2), np.int32)
    for i, image_id in enumerate(image_ids):
        sizes_N2[i] = _stored_size(os.path.join(root, image_id), max_pixels)
    return sizes_N2


def _stored_size(path: str, max_pixels: int) -> tuple[int, int]:
    try:
        with open_image_file(path) as file, open_stored(file, max_pixels) as image:
            return stored_size(image)
    except OSError as error:
        return _NO_IMAGE if error.errno in _OF_CONTENT else AWAY
    # Pillow's plugins raise whatever their parser trips over, SyntaxError and struct.error among them.
    except Exception:
        return _NO_IMAGE
