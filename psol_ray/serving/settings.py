"""Settings of the server."""

from dataclasses import dataclass

from jsonargparse.typing import NonNegativeInt, PositiveInt

__all__ = ["ServeConfig"]


@dataclass(frozen=True)
class ServeConfig:
    """A server that finds boxes in photos."""

    classifier: str | None = None
    """A model.safetensors of `psol train classifier` that names the object; null is the run's own, if it has one."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 is all of this machine's, for whoever reaches it."""
    port: NonNegativeInt = 8000
    """Port to listen at; 0 is any that is free."""
    replicas: PositiveInt | None = None
    """Processes that have the networks; null is one a GPU, or one a machine where there is no GPU."""
    batch_size: PositiveInt = 8
    """Photos in a forward pass at most."""
    batch_wait_ms: NonNegativeInt = 5
    """Milliseconds that the first photo of a batch waits for others."""
    max_mb: PositiveInt = 20
    """Megabytes of an upload at most, all files of a form together."""
    max_megapixels: PositiveInt = 50
    """Millions of pixels of a photo at most; it is told from the header, and nothing is decoded."""
    max_seconds: PositiveInt = 60
    """Seconds that an upload may take, and then its answer."""
