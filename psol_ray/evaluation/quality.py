"""How much a pseudo box can be trusted, without ground truth: one number from what was measured as it was drawn."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.join import mask
from psol_ray.tables.schemas import OK

__all__ = ["quality"]

# Below these a class is doubtful in proportion (docs/labels.md has what each was measured to be worth).
_MARGIN, _VARIANCE = 0.8, 0.1
# Shares of the image between which the object's area is nothing odd, and those at which it can hardly be right.
_SMALL, _TINY, _LARGE, _ALL = 0.05, 0.0, 0.6, 0.95


def quality(boxes: pa.Table) -> NDArray[np.float64]:
    """From 0 (doubtful) to 1, of each row of a boxes table; shape (N,).

    The least of what the class's sign margin, its explained variance and the area of the object say. What a method does
    not measure says nothing; where nothing was found it is 0, and NaN where the image could not be read.

    Args:
        boxes: schema `BOXES`.
    """
    margin_N, variance_N, area_N = (
        np.asarray(boxes.column(name), np.float64)
        for name in ("sign_margin", "explained_variance_ratio", "area_fraction")
    )
    of_area_N = np.minimum((area_N - _TINY) / (_SMALL - _TINY), (_ALL - area_N) / (_ALL - _LARGE))
    parts_3N = np.stack([margin_N / _MARGIN, variance_N / _VARIANCE, of_area_N])
    found_N = mask(pc.equal(boxes.column("status"), OK))
    quality_N = np.clip(np.min(np.where(np.isnan(parts_3N), 1.0, parts_3N), axis=0), 0.0, 1.0)
    read_N = ~np.isnan(np.asarray(boxes.column("x0"), np.float64))
    return np.where(found_N, quality_N, np.where(read_N, 0.0, np.nan))
