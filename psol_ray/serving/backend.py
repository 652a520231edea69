"""Who works on photos, as the HTTP side sees it."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from psol_ray.serving.refusal import Refusal

__all__ = ["Answered", "Backend"]


class Answered(NamedTuple):
    """What was found in a photo, or why it is refused; how many photos its batch had, and how often it was sent again
    because a replica died."""

    found: Mapping[str, Any] | Refusal
    batch: int = 1
    retries: int = 0


class Backend(Protocol):
    """Networks, wherever they are."""

    @property
    def info(self) -> Mapping[str, Any]:
        """What predicts; see `PhotoPredictor.info`."""
        ...

    async def predict(self, data: bytes, /) -> Answered:
        """Find the box in a photo whose header was looked at; waits until somebody can."""
        ...

    def replicas(self) -> int:
        """How many processes can answer now; may wait for an answer itself, for a second at most."""
        ...
