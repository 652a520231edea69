"""The decoder that a machine gets."""

from typing import Any

from psol_ray.images import dali
from psol_ray.images.batch import Decoder
from psol_ray.images.limits import MAX_PIXELS
from psol_ray.images.pillow import PillowDecoder

__all__ = ["make_decoder", "make_decoders"]


def make_decoder(
    size: int,
    batch_size: int,
    *,
    regions: bool = False,
    num_threads: int,
    gpu: int | None,
    hw_share: float = 1.0,
    max_pixels: int | None = None,
) -> Decoder:
    """DALI where it is installed, else Pillow.

    Args:
        size: side of the decoded square, in pixels.
        batch_size: the most files given at once.
        regions: whether `decode` will be given regions and flips.
        num_threads: CPU threads for decoding.
        gpu: CUDA device index as seen by this process; None decodes on the CPU.
        hw_share: share of JPEGs that go to a GPU's decoding engine. Between 0 and 1 a file's batch says where it is
            decoded, and so may say what its pixels are.
        max_pixels: the most that an image may have; a larger one is not ok. None is `MAX_PIXELS`.
    """
    max_pixels = max_pixels or MAX_PIXELS
    if dali.dali_available():
        return dali.DaliDecoder(
            size,
            batch_size,
            regions=regions,
            num_threads=num_threads,
            gpu=gpu,
            hw_share=hw_share,
            max_pixels=max_pixels,
        )
    return PillowDecoder(size, num_threads=num_threads, gpu=gpu, max_pixels=max_pixels)


def make_decoders(size: int, batch_size: int, *, gpu: int | None, **options: Any) -> list[Decoder]:
    """As many as a worker keeps busy, each in a thread; for the arguments see `make_decoder`.

    Of two, one reads files while the other's are decoded. On a CPU both is done by the same cores.
    """
    return [make_decoder(size, batch_size, gpu=gpu, **options) for _ in range(1 if gpu is None else 2)]
