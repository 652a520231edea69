"""How much a pseudo box can be trusted, without ground truth: one number from what was measured as it was drawn."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.join import mask
from psol_ray.tables.schemas import OK

__all__ = ["quality"]

# Below these a box is doubtful in proportion, and above the last; docs/labels.md has what was measured. Small objects
# are what DDT gets wrong. Margin and variance are of classes, mostly 0.6 to 0.8 and above 0.13, and there tell nothing
# of a box: only what is far below says that a class has nothing in common, or is seen inside out.
_AREA, _MARGIN, _VARIANCE, _NEARLY_ALL = 0.25, 0.4, 0.05, 0.9


def quality(boxes: pa.Table) -> NDArray[np.float64]:
    """From 0 (doubtful) to 1, of each row of a boxes table; shape (N,).

    The least of what the class's sign margin, its explained variance and the object's share of the image say. What a
    method does not measure says nothing; where nothing was found it is 0, and NaN where the image could not be read.

    Args:
        boxes: schema `BOXES`.
    """
    margin_N, variance_N, area_N = (
        np.asarray(boxes.column(name), np.float64)
        for name in ("sign_margin", "explained_variance_ratio", "area_fraction")
    )
    of_area_N = np.minimum(area_N / _AREA, (1 - area_N) / (1 - _NEARLY_ALL))
    parts_3N = np.stack([margin_N / _MARGIN, variance_N / _VARIANCE, of_area_N])
    found_N = mask(pc.equal(boxes.column("status"), OK))
    quality_N = np.clip(np.min(np.where(np.isnan(parts_3N), 1.0, parts_3N), axis=0), 0.0, 1.0)
    read_N = ~np.isnan(np.asarray(boxes.column("x0"), np.float64))
    return np.where(found_N, quality_N, np.where(read_N, 0.0, np.nan))
