"""What a network sees of an image: all of it, its middle, or ten crops; and where that lies in the image (Sec. 4.1)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from psol_ray.geometry.boxes import fractions_to_xyxy
from psol_ray.geometry.crops import PAPER_CROP_SHARE
from psol_ray.prediction.settings import ViewName

__all__ = ["View"]


@dataclass(frozen=True)
class View:
    """Crops of an image that was squashed to a square, as in the authors' code: 224 of 256 pixels, say.

    `resize` is the side of the square and `size` that of a crop, in pixels; with `ten` there are five crops, four
    corners and the middle, and the same five mirrored.
    """

    size: int
    resize: int
    ten: bool = False

    @classmethod
    def make(cls, name: ViewName, size: int, crop_share: float) -> "View":
        """The view of a network.

        Args:
            name: whole squashes all of the image to the network's input.
            size: side of the network's input in pixels.
            crop_share: side of a crop as a share of the image's, where it is not whole.
        """
        if name == "ten" and crop_share == 1:
            crop_share = PAPER_CROP_SHARE  # of a network that is evaluated on whole images there would be but one crop
        return cls(size, size if name == "whole" else round(size / crop_share), name == "ten")

    @property
    def num_crops(self) -> int:
        """Forward passes an image."""
        return 10 if self.ten else 1

    def cut(self, images_NHWC: torch.Tensor, index: int) -> torch.Tensor:
        """One of the crops of images of `resize` pixels: the middle first, then the corners, then all mirrored."""
        end = self.resize - self.size
        middle = round(end / 2)
        places = ((middle, middle), (0, 0), (0, end), (end, 0), (end, end))
        y, x = places[index % len(places)]
        # Mirrored before it is cut, as torchvision does: where the middle is a pixel off, so is its mirror image.
        seen_NHWC = images_NHWC.flip(2) if index >= len(places) else images_NHWC
        return seen_NHWC[:, y : y + self.size, x : x + self.size]

    def in_image(self, fractions_N4: NDArray[np.floating], sizes_N2: NDArray[np.integer]) -> NDArray[np.float64]:
        """Boxes `(x, y, w, h)`, fractions of the middle crop, as `(x0, y0, x1, y1)` in pixels of the whole image."""
        start = round((self.resize - self.size) / 2)
        share_N2 = sizes_N2 / self.resize
        inside_N4 = fractions_to_xyxy(fractions_N4, *(self.size * share_N2).T)
        return np.add(inside_N4, np.tile(start * share_N2, 2), dtype=np.float64)
