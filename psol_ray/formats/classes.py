"""Of which class an exported box is, and how sure whoever drew it was."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.join import check_rows
from psol_ray.formats.base import ExportRows

__all__ = ["Classes", "find_classes", "scores"]


@dataclass(frozen=True)
class Classes:
    """The catalog's classes, in the order of their labels."""

    labels: NDArray[np.int64]
    names: list[str]

    def indices(self, rows: ExportRows) -> NDArray[np.int64]:
        """Which of the classes each box is of, counted from 0: int64 of shape (N,).

        That is the most probable one where a classifier has looked at the image, and the image's own else.

        Raises:
            UserError: a classifier has named a class that the catalog does not have.
        """
        labels_N = np.asarray(rows.images.column("label"), np.int64)
        named_N, top_N = _first(rows.measured, "top_labels")
        labels_N = np.where(named_N, top_N, labels_N).astype(np.int64)
        indices_N = np.searchsorted(self.labels, labels_N)
        known_N = np.isin(labels_N, self.labels)
        check_rows(
            rows.images, ~known_N, "table", "with a class that is not in the catalog; make both from the same data"
        )
        return indices_N


def find_classes(catalog: pa.Table) -> Classes:
    """The classes that a catalog has, also those of whose images there is no box."""
    pairs = catalog.select(["label", "class_name"]).group_by(["label", "class_name"]).aggregate([]).sort_by("label")
    return Classes(np.asarray(pairs.column("label"), np.int64), pairs.column("class_name").to_pylist())


def scores(rows: ExportRows) -> NDArray[np.float32]:
    """How far a box is to be believed, 0 to 1, for tools that sort by it: float32 of shape (N,).

    Of predictions it is the probability of the most probable class, of pseudo boxes, whose class is given, their
    `quality`. 1 where nobody knows.
    """
    if "quality" in rows.measured.column_names:
        return np.nan_to_num(np.asarray(rows.measured.column("quality"), np.float32), nan=1.0)
    return _first(rows.measured, "top_probs")[1].astype(np.float32)


def _first(table: pa.Table, column: str) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether a list has an item, and the first; 1 where there is none, or no such column."""
    if column not in table.column_names:
        return np.zeros(len(table), bool), np.ones(len(table))
    lists = table.column(column).combine_chunks()
    has_N = np.asarray(pc.greater(pc.fill_null(pc.list_value_length(lists), 0), 0), bool)
    first_N = np.ones(len(table))
    first_N[has_N] = np.asarray(pc.list_element(lists.filter(pa.array(has_N)), 0), np.float64)
    return has_N, first_N
