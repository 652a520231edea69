"""Decodes photos and runs the networks, in whatever process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from psol_ray.images.stored import stored_size, turn
from psol_ray.prediction.photo import Found, Squashed, load_photo_predictor, squash
from psol_ray.serving.photos import EXPECTED, find_orientation, open_photo
from psol_ray.serving.refusal import Refusal
from psol_ray.work.jobs import Resources

__all__ = ["PhotoWorker", "PhotoWorkerFactory"]


class PhotoWorker:
    """The networks of a run, or of files, in this process."""

    def __init__(self, localizer: str, classifier: str | None, max_pixels: int, resources: Resources) -> None:
        """Args:
        localizer: see `load_photo_predictor`, like the next.
        classifier: …
        max_pixels: the most that a photo may have.
        resources: of this process.

        Raises:
            UserError: there are no such networks.
        """
        import torch

        torch.set_num_threads(resources.num_cpus)
        self._predictor = load_photo_predictor(
            localizer, classifier, device="auto" if resources.gpu is not None else "cpu"
        )
        self._max_pixels = max_pixels
        self.info = self._predictor.info
        # A first batch takes longer, and nobody should wait for it.
        self.locate([squash(np.zeros((8, 8, 3), np.uint8), self._predictor.sides)])

    def squash(self, data: bytes) -> Squashed:
        """Decode a photo and make it small, upright: as networks have seen photos, and as viewers show it. May be
        called from several threads.

        Raises:
            Refusal: it cannot be decoded.
        """
        image = open_photo(data, self._max_pixels)
        kind = image.format or "photo"
        with turn(*stored_size(image)):
            try:
                # Before it, for a TIFF then forgets it; and in its turn, for of a PNG Pillow decodes all to find it.
                orientation = find_orientation(image)
                squashed = squash(image, self._predictor.sides)
            except Exception as error:  # Pillow's plugins raise whatever their parsers trip over
                how = "cut short" if "truncated" in str(error) else "damaged"
                raise Refusal(400, f"found a {kind} that is {how}, {EXPECTED}; send it again") from None
        return upright(squashed, orientation)

    def locate(self, images: Sequence[Squashed]) -> list[dict[str, Any]]:
        """Boxes and classes of a batch, as JSON can hold them; boxes are in pixels of the photos upright."""
        return [_as_json(found) for found in self._predictor.predict_squashed(images)]


@dataclass(frozen=True)
class PhotoWorkerFactory:
    """Makes workers, in the processes where they are to work. It travels there by pickle."""

    localizer: str
    classifier: str | None
    max_pixels: int

    def __call__(self, resources: Resources) -> PhotoWorker:
        """See `PhotoWorker`."""
        return PhotoWorker(self.localizer, self.classifier, self.max_pixels, resources)


def upright(image: Squashed, orientation: int) -> Squashed:
    """An image as viewers show it, by EXIF's orientation from 1 to 8. Of a square that costs nothing."""
    way = _UPRIGHT.get(orientation)
    if way is None:
        return image
    squares = {
        side: np.asarray(Image.fromarray(square_SS3).transpose(way)) for side, square_SS3 in image.squares.items()
    }
    swapped = orientation >= 5
    return Squashed(squares, *((image.height, image.width) if swapped else (image.width, image.height)))


# As Pillow's ImageOps.exif_transpose has them.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _as_json(found: Found) -> dict[str, Any]:
    classes = [{"name": name, "probability": probability} for name, probability in found.classes]
    return {"box": list(found.box), "width": found.width, "height": found.height, "classes": classes}
