"""Copies of photos with what was found drawn into them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from psol_ray.errors import UserError
from psol_ray.images.files import open_image_file
from psol_ray.images.stored import open_stored, stored_rgb, stored_size, turn
from psol_ray.pipeline.photo_files import Photo

if TYPE_CHECKING:
    from psol_ray.prediction.photo import Found

__all__ = ["Album", "draw"]

_COLOUR = "#ff8c00"
# Of a photo's longer side.
_LINE, _TEXT = 1 / 250, 1 / 40
_QUALITY = 90


class Album:
    """A folder of such copies, as JPEG: each lies there as the photo lies in the folder that was named."""

    def __init__(self, folder: str, max_pixels: int, photos: Sequence[Photo]) -> None:
        """Args:
        folder: made where it is not there.
        max_pixels: the most that a photo may have.
        photos: none of which a copy may take the place of.

        Raises:
            UserError: it cannot be made.
        """
        self._folder, self._max_pixels = folder, max_pixels
        self._taken: set[str] = set()
        self._originals = {os.path.realpath(photo.source) for photo in photos if isinstance(photo.source, str)}
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise UserError(f"predict.out: {folder!r} cannot be made ({error.strerror}); give another folder") from None

    def add(self, photo: Photo, found: Found) -> None:
        """Draw one photo, and keep it.

        Raises:
            UserError: the copy cannot be written.
        """
        with open_image_file(photo.source) as file:
            image = open_stored(file, self._max_pixels)
            with turn(*stored_size(image)):
                rgb = draw(stored_rgb(image), found)
        path = os.path.join(self._folder, self._free(photo.below))
        # Whole or not at all; and in the place of a link, not through it.
        unfinished = f"{path}.tmp"
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            rgb.save(unfinished, "JPEG", quality=_QUALITY)
            os.replace(unfinished, path)
        except OSError as error:
            raise UserError(f"predict.out: {path} cannot be written ({error.strerror}); fix that") from None

    def _free(self, below: str) -> str:
        """A name that no other photo of this command has, nor an original."""
        stem, number = os.path.splitext(below)[0], 1
        name = f"{stem}.jpg"
        while name in self._taken or os.path.realpath(os.path.join(self._folder, name)) in self._originals:
            number += 1
            name = f"{stem}-{number}.jpg"
        self._taken.add(name)
        return name


def draw(rgb: Image.Image, found: Found) -> Image.Image:
    """An image in RGB with its box and first class; a copy, without what the file said beside pixels."""
    drawn = rgb.copy()
    drawn.info.clear()  # an orientation would turn the picture with its box
    longest = max(drawn.size)
    canvas, width = ImageDraw.Draw(drawn), max(2, round(longest * _LINE))
    x0, y0, x1, y1 = found.box
    canvas.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=_COLOUR, width=width)
    if found.classes:
        name, probability = found.classes[0]
        _label(canvas, (x0, y0), f"{name} {probability:.0%}", max(11, round(longest * _TEXT)))
    return drawn


def _label(canvas: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, size: int) -> None:
    """Black on the box's colour, above its corner where there is room."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    x, y = corner[0], max(0.0, corner[1] - (bottom - top) - 4)
    canvas.rectangle((x, y, x + right - left + 4, y + bottom - top + 4), fill=_COLOUR)
    canvas.text((x + 2 - left, y + 2 - top), text, fill="black", font=font)
