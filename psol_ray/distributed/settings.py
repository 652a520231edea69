"""Settings of the cluster."""

from dataclasses import dataclass

from jsonargparse.typing import NonNegativeInt, PositiveInt

__all__ = ["ClusterConfig"]


@dataclass(frozen=True)
class ClusterConfig:
    """The Ray cluster."""

    address: str | None = None
    """Ray cluster to join; null starts Ray on this machine. With in-process there is none: this process is the only
    worker, and the other settings of the cluster do not apply."""
    workers: PositiveInt | None = None
    """How many workers there are; null is one a GPU, or one a machine where there is no GPU."""
    min_workers: PositiveInt | None = None
    """Workers with which a training starts, and goes on after a loss, at least; it grows again. Null starts with all,
    and goes on after a loss with those that are left."""
    max_failures: NonNegativeInt = 3
    """How often in a row, without a new checkpoint between, a training that a fault ended goes on from its last one
    before it is given up."""
