"""The table of classes: the worst and the best, never a thousand."""

import math
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.tables.schemas import TEST

__all__ = ["ClassRow", "class_rows", "class_tables"]

NUM_AT_EITHER_END = 20


@dataclass(frozen=True)
class ClassRow:
    """One class's scores as fractions of its test images with ground truth, None where there are none."""

    class_name: str
    images: int
    pseudo: float | None
    localizer: float | None
    top1_loc: float | None

    @property
    def rank(self) -> float:
        """What the table is ordered by: the localizer's score, or the pseudo boxes' where nothing was trained."""
        return next((score for score in (self.localizer, self.pseudo) if score is not None), math.inf)


def class_tables(scores: pa.Table) -> dict[str, list[ClassRow]]:
    """Make tables by heading, each from the lowest score up; none where nothing can be scored."""
    rows = [row for row in class_rows(scores) if row.rank < math.inf]
    rows.sort(key=lambda row: (row.rank, row.class_name))
    if len(rows) <= 2 * NUM_AT_EITHER_END:
        return {"All classes": rows} if rows else {}
    return {
        f"The {NUM_AT_EITHER_END} worst of {len(rows):,} classes": rows[:NUM_AT_EITHER_END],
        f"The {NUM_AT_EITHER_END} best": rows[-NUM_AT_EITHER_END:],
    }


def class_rows(scores: pa.Table) -> list[ClassRow]:
    """Sum up each class of the test split, in the order of labels."""
    test = scores.filter(pc.equal(scores.column("split"), TEST))
    right = {"pseudo": test.column("pseudo_right"), "localizer": test.column("predicted_right")}
    right["top1_loc"] = pc.and_(right["localizer"], test.column("top1"))
    columns = {"label": test.column("label"), "class_name": test.column("class_name")}
    # Means of booleans are not known to Arrow; null is left out of a mean.
    columns |= {name: column.cast(pa.float64()) for name, column in right.items()}
    means: list[tuple[str | list[str], str]] = [(name, "mean") for name in right]
    classes = pa.table(columns).group_by(["label", "class_name"]).aggregate([([], "count_all"), *means])
    return [
        ClassRow(row["class_name"], row["count_all"], *(row[f"{name}_mean"] for name in right))
        for row in classes.sort_by("label").to_pylist()
    ]
