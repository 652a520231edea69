"""Settings of the cluster."""

from dataclasses import dataclass

from jsonargparse.typing import NonNegativeInt, PositiveInt

__all__ = ["ClusterConfig"]


@dataclass(frozen=True)
class ClusterConfig:
    """The Ray cluster."""

    address: str | None = None
    """Cluster to join; null starts Ray on this machine."""
    workers: PositiveInt | None = None
    """Actors and trainers; null is one a GPU, or one a machine where there is no GPU."""
    min_workers: PositiveInt | None = None
    """Training starts, and goes on after a loss, with this many at least, and grows again; null waits for all."""
    max_failures: NonNegativeInt = 3
    """How often a training that a fault ended goes on from its last checkpoint before it is given up."""
