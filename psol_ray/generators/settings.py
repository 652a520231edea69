"""Settings that generators of boxes share: how their networks run."""

from dataclasses import dataclass

from jsonargparse.typing import ClosedUnitInterval, PositiveFloat, PositiveInt

from psol_ray.models.precision import Precision

__all__ = ["InferenceSettings"]


@dataclass(frozen=True)
class InferenceSettings:
    """How the network of a generator runs; only `precision` changes what comes out."""

    precision: Precision = "auto"
    """Precision of the network that draws boxes; auto is bfloat16 where the device has units for it. Class maps
    are always drawn in float32."""
    batch_size: PositiveInt | None = None
    """Images in a forward pass of the network that draws boxes; null is 64 on a GPU and 8 on a CPU, where
    more only take memory."""
    compile: bool = False
    """Have TorchInductor compile DDT's network when a worker starts, up to a minute. Worth trying on a GPU for networks
    of timm; the others are fused there without it. On a CPU it gains next to nothing."""
    decode_threads: PositiveInt | None = None
    """CPU threads with which a worker decodes images; null is all of the worker's CPUs."""
    hw_decoder_share: ClosedUnitInterval = 1.0
    """Share of JPEGs for a GPU's decoding engine; its multiprocessors take the others. Between 0 and 1 a file's pixels,
    and so its box, may depend on the batch that it happens to be in."""
    memory_gb: PositiveFloat | None = None
    """GB of features that a worker of DDT may hold; a class of more than a third of it is read twice. Null is half of
    the memory that is free."""

    def batch(self, gpu: int | None) -> int:
        """Images in a forward pass on this device."""
        return self.batch_size or (_CPU_BATCH if gpu is None else _GPU_BATCH)


_CPU_BATCH, _GPU_BATCH = 8, 64
