"""How far a pseudo box is to be trusted, from what was measured as it was drawn: no ground truth is asked."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.join import mask
from psol_ray.tables.schemas import NO_FOREGROUND, OK

__all__ = ["LEAST_SHARE", "MEASURES", "doubts", "quality"]

MEASURES = ("sign_margin", "explained_variance_ratio", "area_fraction", "mean_heat")

LEAST_SHARE = 0.5
"""Of the table's middle sign margin and explained variance, below which a class is suspicious. What is usual depends on
the network: with EfficientNet-Lite0 most right signs are decided by margins that VGG16 never shows."""


def quality(boxes: pa.Table) -> NDArray[np.float64]:
    """From 0 (doubtful) to 1, of each box: 1 less what `doubts` says. Shape (N,), NaN where there is no box."""
    return 1 - doubts(boxes)


def doubts(boxes: pa.Table) -> NDArray[np.float64]:
    """Return a number from 0 to 1 for each box: the most that any of three measures has against it.

    - `area_fraction`: the share by which it is below that of the table's middle image;
    - `sign_margin`, `explained_variance_ratio`: the share by which it is below half of the table's middle image's.

    Mean heat is not among them: docs/page.md has what each is worth.

    Args:
        boxes: N rows of schema `BOXES`, null where there is none.

    Returns:
        Shape (N,): 1 where there was no foreground, NaN where there is no box or nothing was measured.
    """
    ok_N = mask(pc.equal(boxes["status"], OK))
    area_N, margin_N, variance_N = (
        np.where(ok_N, np.asarray(boxes[name].to_numpy(zero_copy_only=False), np.float64), np.nan)
        for name in ("area_fraction", "sign_margin", "explained_variance_ratio")
    )
    against_3N = [
        1 - area_N / _middle(area_N),
        1 - margin_N / (LEAST_SHARE * _middle(margin_N)),
        1 - variance_N / (LEAST_SHARE * _middle(variance_N)),
    ]
    doubt_N = np.clip(np.fmax.reduce(against_3N), 0, 1)
    return np.where(mask(pc.equal(boxes["status"], NO_FOREGROUND)), 1.0, doubt_N)


def _middle(values_N: NDArray[np.float64]) -> float:
    """Their median; NaN, which says nothing, where there is none above 0."""
    known = values_N[np.isfinite(values_N)]
    middle = float(np.median(known)) if len(known) else np.nan
    return middle if middle > 0 else np.nan
