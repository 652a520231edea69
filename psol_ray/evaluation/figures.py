"""Every figure of a split as a mean over its images: overall, by class, and as the mean of classes.

Shape suffixes: N images of the split, F figures, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.bootstrap import ByClass, bootstrap, bootstrap_by_class
from psol_ray.evaluation.scores import BoxScores, PredictionScores

__all__ = ["Figures", "nested"]


@dataclass(frozen=True)
class Figures:
    """Images of a split, one class's after another's, and what each adds to the figures; NaN does not count."""

    images: pa.Table  # rows of the catalog
    names: list[str]  # where in metrics.json a figure stands: `localization.gt_known`
    values_NF: NDArray[np.float64]

    @classmethod
    def of(cls, catalog: pa.Table, split: str, boxes: BoxScores, predictions: PredictionScores) -> "Figures":
        """Those of pseudo boxes, and on the test split those of predictions, too."""
        # By name, too: sums of floats and resamples then do not depend on the order of the catalog.
        order_N = pc.sort_indices(catalog, [("label", "ascending"), ("image_id", "ascending")])
        rows_N = order_N.filter(pc.equal(catalog.column("split"), split).take(order_N).combine_chunks()).to_numpy()
        groups: list[tuple[str, BoxScores, Mapping[str, NDArray[np.float64]]]] = [
            (f"pseudo_boxes.{split}", boxes, boxes.figures())
        ]
        if split == "test":
            groups.append(("localization", predictions, predictions.figures()))
            groups.append(("classification", predictions, predictions.label_figures()))
        columns = {
            f"{group}.{name}": _spread(values, scores.rows_N, len(catalog))[rows_N]
            for group, scores, figures in groups
            for name, values in figures.items()
        }
        return cls(catalog.take(rows_N), list(columns), np.stack(list(columns.values()), axis=1))

    @cached_property
    def starts_C(self) -> NDArray[np.intp]:
        """The first image of each class."""
        return np.unique(self.images.column("label").to_numpy(), return_index=True)[1]

    @property
    def counts_C(self) -> NDArray[np.intp]:
        """Images of each class."""
        return np.diff(self.starts_C, append=len(self.images)) if len(self.images) else self.starts_C

    def means(self) -> NDArray[np.float64]:
        """Shape (F,): NaN of nothing."""
        return _mean(self.values_NF)

    def class_means(self) -> NDArray[np.float64]:
        """Shape (C, F): NaN where a class has no image that counts."""
        if not len(self.starts_C):
            return self.values_NF
        known_NF = np.isfinite(self.values_NF)
        sums_CF = np.add.reduceat(np.where(known_NF, self.values_NF, 0), self.starts_C)
        return _divide(sums_CF, np.add.reduceat(known_NF.astype(np.int64), self.starts_C))

    def mean_of_classes(self) -> NDArray[np.float64]:
        """Shape (F,): every class counts alike, those without a figure not."""
        return _mean(self.class_means())

    def intervals(self) -> NDArray[np.float64]:
        """95 % interval of `means`, shape (2, F)."""
        return bootstrap(self.values_NF)

    def class_intervals(self) -> ByClass:
        """95 % intervals of `class_means` and `mean_of_classes`."""
        return bootstrap_by_class(self.values_NF, self.starts_C)


def _spread(values_N: NDArray[np.float64], rows_N: NDArray[np.int64], length: int) -> NDArray[np.float64]:
    """Values of some rows of the catalog, NaN for the others."""
    spread = np.full(length, np.nan)
    spread[rows_N] = values_N
    return spread


def _mean(values_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    known_NF = np.isfinite(values_NF)
    return _divide(np.where(known_NF, values_NF, 0).sum(axis=0), known_NF.sum(axis=0))


def _divide(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def nested(names: list[str], values: NDArray[np.float64]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`; of values of shape (2, F) pairs, and None for NaN."""
    found: dict[str, Any] = {}
    for name, value in zip(names, np.moveaxis(values, -1, 0).tolist(), strict=True):
        *groups, last = name.split(".")
        place = found
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = None if np.isnan(value).any() else value
    return found
