"""Pixels from files: DALI everywhere, Pillow as its oracle and stand-in."""

from psol_ray.images.dali import DaliDecoder, dali_available
from psol_ray.images.decoder import DecodedBatch, Decoder, make_decoder
from psol_ray.images.pillow import PillowDecoder
from psol_ray.images.prefetch import prefetch

__all__ = [
    "DaliDecoder",
    "DecodedBatch",
    "Decoder",
    "PillowDecoder",
    "dali_available",
    "make_decoder",
    "prefetch",
]
