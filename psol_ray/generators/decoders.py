"""The decoders of a generator's worker."""

from psol_ray.generators.settings import InferenceSettings
from psol_ray.images.batch import Decoder
from psol_ray.images.decoder import make_decoders
from psol_ray.work.jobs import Resources

__all__ = ["decoders_of_worker"]


def decoders_of_worker(inference: InferenceSettings, resources: Resources, size: int) -> list[Decoder]:
    """Decoders of whole images, squashed to `size` pixels a side, as settings and resources say."""
    return make_decoders(
        size,
        inference.batch(resources.gpu),
        num_threads=inference.decode_threads or resources.num_cpus,
        gpu=resources.gpu,
        hw_share=inference.hw_decoder_share,
        max_pixels=resources.max_pixels,
    )
