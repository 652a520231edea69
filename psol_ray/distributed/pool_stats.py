"""What happened in a pool."""

from dataclasses import dataclass, field

__all__ = ["PoolStats"]


@dataclass
class PoolStats:
    """What happened in a pool, for those who measure it."""

    jobs_done: int = 0
    workers_started: int = 0
    lost_at: list[float] = field(default_factory=list)
    """When workers were found dead, in seconds since 1970."""
    speculative_jobs: int = 0
    """Jobs given to a second worker."""
    steps: int = 0
    seconds: float = 0.0
    """Spent in steps."""
    seconds_waiting: float = 0.0
    """Of those, spent waiting for workers."""
    worker_seconds: float = 0.0
    """Seconds between the start and the end of each worker, added up; of those that have ended."""
