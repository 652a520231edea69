"""What an actor answers for a job."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psol_ray.work.counters import Seconds

__all__ = ["Answer"]


@dataclass(frozen=True)
class Answer:
    """What the job returned, and what was counted beside it.

    Counted by the driver, for jobs that are done, and not where they are worked on: what an actor has counted is lost
    where it dies, and counted twice where two have done the same job.
    """

    value: Any
    """None where parts were written, `ImagesAway` where its images are away."""
    images: Mapping[str, int] = field(default_factory=dict)
    """Rows written, by their status."""
    waited: Seconds = Seconds()
    """Since the actor's last answer."""

    @classmethod
    def of(cls, answered: Any) -> "Answer":
        """Whatever an actor has answered, as one of these."""
        return answered if isinstance(answered, cls) else cls(answered)
