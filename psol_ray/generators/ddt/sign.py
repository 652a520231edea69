"""Which side of a component is the object: an eigenvector has no sign, and the wrong one turns a class inside out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sign", "choose_sign"]


class Sign(NamedTuple):
    """A factor of 1 or -1 for the projections, and how clearly it was decided, 0 (a coin toss) to 1."""

    factor: float
    margin: float


def choose_sign(heat_Nhw: NDArray[np.float32]) -> Sign:
    """The sign that makes the side positive to which images reach farther, on average.

    Foreground is the smaller and the sharper side of a class's descriptors, so its projections reach farther. Of an
    image only its extremes count, and all images count alike, so that no single odd one decides. Chosen by measurement
    among twenty rules (docs/sign_rule.md).

    Args:
        heat_Nhw: projections of the class's training images.
    """
    lowest, highest = (float(extreme(heat_Nhw, axis=(1, 2)).mean(dtype=np.float64)) for extreme in (np.min, np.max))
    farthest = max(abs(lowest), abs(highest))
    margin = abs(lowest + highest) / farthest if farthest > 0 else 0.0
    return Sign(-1.0 if -lowest > highest else 1.0, margin)
