"""Small copies of images, as text that a page can carry inside itself."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

from psol_ray.images.files import open_image_file
from psol_ray.images.limits import MAX_PIXELS
from psol_ray.images.stored import open_stored, stored_rgb, stored_size
from psol_ray.storage.addresses import Address

__all__ = ["Thumbnail", "make_thumbnail"]

_LONGEST_SIDE = 320  # pixels
QUALITY = 82


@dataclass(frozen=True)
class Thumbnail:
    """An image of at most `_LONGEST_SIDE`, and how boxes of the stored image are scaled onto it."""

    width: int
    height: int
    scale_x: float
    scale_y: float
    uri: str | None  # data:image/jpeg;base64,…; None where the file cannot be read


def make_thumbnail(
    address: Address, width: int, height: int, *, side: int = _LONGEST_SIDE, quality: int = QUALITY
) -> Thumbnail:
    """Thumbnail of an image file.

    Args:
        address: of the image; it may be missing or broken.
        width: of the stored image as the catalog has it, used where the file cannot be read. One without a size, which
            is 0, is not opened.
        height: likewise.
        side: the longer side in pixels, at most.
        quality: of the JPEG.
    """
    if not (width and height):
        return _placeholder(width, height, side)
    try:
        # The catalog's images may be larger than usual: `data.max_pixels` was another.
        stored, small = _read_small(address, max(width * height, MAX_PIXELS), side)
    except Exception:  # Pillow's decoders raise what they like on a broken file; a bad image is data
        return _placeholder(width, height, side)
    sink = io.BytesIO()
    small.save(sink, "JPEG", quality=quality)
    uri = "data:image/jpeg;base64," + base64.b64encode(sink.getvalue()).decode()
    return Thumbnail(*small.size, small.width / stored[0], small.height / stored[1], uri)


def _placeholder(width: int, height: int, side: int) -> Thumbnail:
    if not (width and height):
        return Thumbnail(side, side * 3 // 4, 1.0, 1.0, None)
    shrink = min(1.0, side / max(width, height))
    return Thumbnail(max(round(width * shrink), 1), max(round(height * shrink), 1), shrink, shrink, None)


def _read_small(address: Address, max_pixels: int, side: int) -> tuple[tuple[int, int], Image.Image]:
    """The stored size, and the small copy in RGB."""
    with open_image_file(address) as file, open_stored(file, max_pixels) as image:
        stored = stored_size(image)
        image.draft(None, (2 * side, 2 * side))  # a JPEG is decoded at about twice that size
        small = stored_rgb(image)
    small.thumbnail((side, side))
    # Comments would be saved again; an orientation would turn the picture under its boxes.
    small.info.clear()
    return stored, small
