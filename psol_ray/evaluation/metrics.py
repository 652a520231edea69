"""Every metric of a split as a mean over its images: overall, by class, and as the mean of classes.

Shape suffixes: N images of the split, M metrics, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.evaluation.bootstrap import ByClass, bootstrap, bootstrap_by_class
from psol_ray.evaluation.join import of_split
from psol_ray.evaluation.scoring import ScoringProtocol
from psol_ray.tables.schemas import TEST

__all__ = ["Metrics", "nested"]

_V2_PERCENT = (30, 50, 70)


@dataclass(frozen=True)
class Metrics:
    """Images of a split, one class's after another's, and what each adds to the metrics; NaN does not count."""

    images: pa.Table  # rows of a scores table
    names: list[str]  # where in metrics.json a metric stands: `localization.gt_known`
    values_NM: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        scores: pa.Table,
        split: str,
        protocol: ScoringProtocol | None = None,
        coordinates: Literal["", "_original", "_crop"] = "",
    ) -> "Metrics":
        """Take those of pseudo boxes, and on the test split those of predictions too, from a scores table.

        Args:
            scores: `SCORES`.
            split: whose images count.
            protocol: says what is right at an IoU; its crop plays no part. Null is the field's standard.
            coordinates: suffix of the columns of IoUs: those of the run's protocol, of whole images, or of the paper's
                crop.
        """
        protocol, images = protocol or ScoringProtocol(), of_split(scores, split)
        columns = _box_metrics(f"pseudo_boxes.{split}", _numbers(images, f"pseudo_iou{coordinates}"), protocol)
        if split == TEST:
            columns |= _box_metrics("localization", _numbers(images, f"predicted_iou{coordinates}"), protocol)
            for top in ("top1", "top5"):
                columns[f"localization.{top}_loc"] = columns["localization.gt_known"] * _numbers(images, top)
            columns |= {f"classification.{top}": _numbers(images, top) for top in ("top1", "top5")}
        return cls(images, list(columns), np.stack(list(columns.values()), axis=1))

    @cached_property
    def starts_C(self) -> NDArray[np.intp]:
        """The first image of each class."""
        return np.unique(self.images.column("label").to_numpy(), return_index=True)[1]

    @property
    def counts_C(self) -> NDArray[np.intp]:
        """Images of each class."""
        return np.diff(self.starts_C, append=len(self.images)) if len(self.images) else self.starts_C

    def means(self) -> NDArray[np.float64]:
        """Shape (M,): NaN of nothing."""
        return _mean(self.values_NM)

    def class_means(self) -> NDArray[np.float64]:
        """Shape (C, M): NaN where a class has no image that counts."""
        if not len(self.starts_C):
            return self.values_NM
        known_NM = np.isfinite(self.values_NM)
        sums_CM = np.add.reduceat(np.where(known_NM, self.values_NM, 0), self.starts_C)
        return _divide(sums_CM, np.add.reduceat(known_NM.astype(np.int64), self.starts_C))

    def mean_of_classes(self) -> NDArray[np.float64]:
        """Shape (M,): every class counts alike, those without a number not at all."""
        return _mean(self.class_means())

    def intervals(self) -> NDArray[np.float64]:
        """95 % interval of `means`, shape (2, M)."""
        return bootstrap(self.values_NM)

    def class_intervals(self) -> ByClass:
        """95 % intervals of `class_means` and `mean_of_classes`."""
        return bootstrap_by_class(self.values_NM, self.starts_C)


def _numbers(images: pa.Table, name: str) -> NDArray[np.float64]:
    """A column of numbers or booleans; null is NaN."""
    return images.column(name).cast(pa.float64()).to_numpy()


def _box_metrics(group: str, iou_N: NDArray[np.float64], protocol: ScoringProtocol) -> dict[str, NDArray[np.float64]]:
    """What each image's box adds to the metrics of boxes; NaN where its IoU is."""
    right = {
        f"iou_{percent}": np.where(np.isnan(iou_N), np.nan, protocol.right(iou_N, percent / 100))
        for percent in _V2_PERCENT
    }
    # MaxBoxAcc and MaxBoxAccV2 (Choe et al., CVPR 2020) take a score map's best threshold; a box has but itself.
    values = {
        "gt_known": right["iou_50"],
        "max_box_acc": right["iou_50"],
        "max_box_acc_v2": np.mean(list(right.values()), axis=0),
        "iou_30": right["iou_30"],
        "iou_70": right["iou_70"],
        "mean_iou": iou_N,
    }
    return {f"{group}.{name}": values_N for name, values_N in values.items()}


def _mean(values_NM: NDArray[np.float64]) -> NDArray[np.float64]:
    known_NM = np.isfinite(values_NM)
    return _divide(np.where(known_NM, values_NM, 0).sum(axis=0), known_NM.sum(axis=0))


def _divide(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def nested(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`; of values of shape (2, M) pairs, and None for NaN."""
    tree: dict[str, Any] = {}
    for name, value in zip(names, np.moveaxis(values, -1, 0).tolist(), strict=True):
        *groups, last = name.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[last] = None if np.isnan(value).any() else value
    return tree
