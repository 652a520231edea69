"""Sizes of images from their headers alone."""

import errno
import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import repeat
from typing import IO

import numpy as np
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.images.files import Source, open_image_file
from psol_ray.images.limits import MAX_PIXELS
from psol_ray.images.stored import header_size, open_stored, stored_size
from psol_ray.storage.addresses import Span, file_address, is_uri
from psol_ray.storage.reader import NUM_CONNECTIONS, open_span

__all__ = ["AWAY", "read_sizes", "size_of"]

AWAY = (-1, -1)
"""The size of an image whose file cannot be opened or read here."""

_NO_IMAGE = (0, 0)
_LONGEST = np.iinfo(np.int32).max  # that a table can hold

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
    addresses = [file_address(root, image_id) for image_id in image_ids]
    if is_uri(root):
        # Waiting for the store, and not work.
        with ThreadPoolExecutor(NUM_CONNECTIONS) as threads:
            sizes = list(threads.map(_stored_size, addresses, repeat(max_pixels)))
    elif os.path.isdir(root):
        sizes = [_stored_size(address, max_pixels) for address in addresses]
    else:
        host = socket.gethostname()
        raise UserError(f"data.root {root!r} is not a folder on {host}, expected the images; mount it there")
    return np.array(sizes, np.int32).reshape(-1, 2)


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of one image that was read already, as `read_sizes` has them, but however many pixels it has."""
    try:
        width, height = header_size(data)
    except Exception:  # see `_stored_size`
        return _NO_IMAGE
    return (width, height) if max(width, height) <= _LONGEST else _NO_IMAGE


def _stored_size(source: Source, max_pixels: int) -> tuple[int, int]:
    try:
        with _open(source) as file, open_stored(file, max_pixels) as image:
            return stored_size(image)
    except OSError as error:
        return _NO_IMAGE if error.errno in _OF_CONTENT else AWAY
    # Pillow's plugins raise whatever their parser trips over, SyntaxError and struct.error among them.
    except Exception:
        return _NO_IMAGE


def _open(source: Source) -> AbstractContextManager[IO[bytes]]:
    # Of an object the beginning is read, and of a file what Pillow asks for.
    return open_span(source) if isinstance(source, Span) else open_image_file(source)
