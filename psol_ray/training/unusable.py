"""Images that a training could not use: away, which stops it above a small share, or no images, which is told."""

import math
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass

from psol_ray.errors import UserError, abbreviate
from psol_ray.training.workers import gather_over_workers

__all__ = ["Unusable", "check_away", "share_so_far"]

_NUM_NAMES = 8


@dataclass
class Unusable:
    """How many images were away, and how many were read and are no images."""

    num_away: int = 0
    num_unreadable: int = 0

    def __add__(self, other: "Unusable") -> "Unusable":
        return Unusable(self.num_away + other.num_away, self.num_unreadable + other.num_unreadable)

    @property
    def total(self) -> int:
        return self.num_away + self.num_unreadable

    def row(self, prefix: str = "") -> dict[str, float]:
        """As in a row of the curves, which says nothing of what there is none of."""
        counts = {f"{prefix}away": self.num_away, f"{prefix}unreadable": self.num_unreadable}
        return {name: count for name, count in counts.items() if count}


def check_away(
    num_away: int, num_images: int, max_share: float, names: Callable[[], Collection[str]], what: str
) -> None:
    """Raise a UserError, on every worker, where too many images are away; every worker has to call it.

    Args:
        num_away: over all workers.
        num_images: of so many.
        max_share: how many may be, as a share.
        names: those of this worker, as far as it knows them.
        what: the images' kind, in words.
    """
    if num_away <= max_share * num_images:
        return
    gathered = gather_over_workers((socket.gethostname(), sorted(names())[:_NUM_NAMES]))
    hosts = sorted({host for host, away in gathered if away})
    found = sorted({name for _, away in gathered for name in away})
    where = f" on {abbreviate(hosts)}" if hosts else ""
    which = f" ({abbreviate(found)})" if found else ""
    raise UserError(
        f"{num_away:,} of {num_images:,} {what} cannot be opened{where}{which}, more than data.max_unreadable"
        f" ({max_share:.2g}) allows; mount their folder there or put them back, and the same command goes on from the"
        " last checkpoint"
    )


def share_so_far(max_share: float, num_images: int) -> float:
    """The share of the first images of an epoch from which it is clear that more than `max_share` of all are away.

    Three standard deviations above: of the first images of a random order it may be a few more than of all.
    """
    return max_share + 3 * math.sqrt(max_share / num_images)
