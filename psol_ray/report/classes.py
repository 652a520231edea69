"""The table of classes: the worst and the best, never a thousand."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from psol_ray.evaluation import Protocol, per_class

__all__ = ["ClassRow", "class_tables"]

NUM_AT_EITHER_END = 20


@dataclass(frozen=True)
class ClassRow:
    """One class's scores as fractions, None where there is none."""

    class_name: str
    images: int
    ddt: float | None
    localizer: float | None
    top1_loc: float | None

    @property
    def rank(self) -> float:
        """What the table is ordered by: the localizer's score, or DDT's where nothing was trained."""
        return next((v for v in (self.localizer, self.ddt) if v is not None), math.inf)


def class_tables(
    catalog: pa.Table, boxes: pa.Table, predictions: pa.Table, protocol: Protocol | None = None
) -> dict[str, list[ClassRow]]:
    """Tables by heading, each from the lowest score up; none where nothing can be scored."""
    rows = [_row(found) for found in per_class(catalog, boxes, predictions, protocol)]
    rows = sorted((row for row in rows if row.rank < math.inf), key=lambda row: (row.rank, row.class_name))
    if len(rows) <= 2 * NUM_AT_EITHER_END:
        return {"All classes": rows} if rows else {}
    return {
        f"The {NUM_AT_EITHER_END} worst of {len(rows):,} classes": rows[:NUM_AT_EITHER_END],
        f"The {NUM_AT_EITHER_END} best": rows[-NUM_AT_EITHER_END:],
    }


def _row(found: Mapping[str, Any]) -> ClassRow:
    def score(key: str) -> float | None:
        value = found.get(key)
        return None if value is None or math.isnan(value) else float(value)

    return ClassRow(
        found["class_name"], found["images"], score("pseudo_gt_known"), score("gt_known"), score("top1_loc")
    )
