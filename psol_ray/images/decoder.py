"""What a decoder is, and which one a machine gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["DecodedBatch", "Decoder", "make_decoder"]


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
        paths: Sequence[str],
        regions_N4: NDArray[np.integer] | None = None,
        flips_N: NDArray[np.bool_] | None = None,
    ) -> DecodedBatch:
        """Decode whole images, or regions `(x0, y0, x1, y1)` in whole pixels of the stored image.

        The region is cut out first and then squashed to the decoder's size (triangle filter, antialiased), and last
        mirrored left to right where `flips_N` says so. A file that cannot be read costs itself, not its batch.
        """
        ...


def make_decoder(
    size: int,
    batch_size: int,
    *,
    regions: bool = False,
    num_threads: int,
    gpu: int | None,
    hw_share: float | None = None,
) -> Decoder:
    """DALI where it is installed, else Pillow.

    Args:
        size: side of the decoded square, in pixels.
        batch_size: the most files given at once.
        regions: whether `decode` will be given regions and flips.
        num_threads: CPU threads for decoding.
        gpu: CUDA device index as seen by this process; None decodes on the CPU.
        hw_share: share of JPEGs that go to a GPU's decoding engine; None is DALI's default.
    """
    from psol_ray.images.dali import DaliDecoder, dali_available
    from psol_ray.images.pillow import PillowDecoder

    if dali_available():
        return DaliDecoder(size, batch_size, regions=regions, num_threads=num_threads, gpu=gpu, hw_share=hw_share)
    return PillowDecoder(size, num_threads=num_threads, gpu=gpu)
