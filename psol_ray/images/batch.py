"""What decoders give, and what each of them is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from psol_ray.storage.addresses import Address

__all__ = ["DecodedBatch", "Decoder"]


@dataclass(frozen=True)
class DecodedBatch:
    """Pixels of a batch of files, squashed to one size.

    `images_NHWC` is uint8 RGB on the decoder's device; an image with `ok_N` False could not be read and is black.
    """

    images_NHWC: torch.Tensor
    ok_N: NDArray[np.bool_]


class Decoder(Protocol):
    """Decodes files, one batch at a time. EXIF orientation is ignored: pixels are those that are stored."""

    def decode(
        self,
        paths: Sequence[Address],
        regions_N4: NDArray[np.integer] | None = None,
        flips_N: NDArray[np.bool_] | None = None,
    ) -> DecodedBatch:
        """Decode whole images, or regions `(x0, y0, x1, y1)` in whole pixels of the stored image.

        The region is cut out first and then squashed to the decoder's size (triangle filter, antialiased), and last
        mirrored left to right where `flips_N` says so. A file that is no image costs itself, not its batch. An empty
        address is an image that is not to be opened, and not ok.

        Raises:
            ImagesAway: files cannot be opened or read; it names all of the batch.
        """
        ...
