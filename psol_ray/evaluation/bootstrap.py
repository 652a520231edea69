"""Percentile bootstrap of means: how far a metric could be off for want of images (Efron 1979).

Shape suffixes: N images, M metrics, C classes, B resamples, S statistics, 2 = (low, high).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ByClass", "bootstrap", "bootstrap_by_class"]

_RESAMPLES = 1000
_WEIGHTS_AT_ONCE = 2_500_000  # of images in resamples: what is in memory at the same time
_LEVELS = (2.5, 97.5)


class ByClass(NamedTuple):
    """Intervals of each class, resampled inside it, and of the mean of classes."""

    classes_2CM: NDArray[np.float64]
    mean_2M: NDArray[np.float64]


def bootstrap(
    values_NM: NDArray[np.float64] | NDArray[np.bool_],
    of_means: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda means_BM: means_BM,
) -> NDArray[np.float64]:
    """95 % interval of each column's mean: shape (2, M), NaN for a column without a number.

    The same values give the same interval.

    Args:
        values_NM: an image's value of each metric; NaN does not count.
        of_means: statistics of the columns' means instead, (B, M) to (B, S): the interval has shape (2, S).
    """
    rng = np.random.default_rng(0)
    # Of a split without ground truth nothing is known, and it may be large.
    values_NM = values_NM[np.isfinite(values_NM).any(axis=1)]
    if not len(values_NM):
        return _interval(of_means(np.full((1, values_NM.shape[1]), np.nan)))
    return _interval(np.concatenate([of_means(means_BM) for means_BM in _resampled(values_NM, rng)]))


def bootstrap_by_class(values_NM: NDArray[np.float64], starts_C: NDArray[np.intp]) -> ByClass:
    """95 % intervals where images are resampled inside their classes, which stay as large as they are.

    A class of one image has an interval without width: nothing is known of its spread.

    Args:
        values_NM: as for `bootstrap`, one class's images after another's.
        starts_C: the first image of each class.
    """
    rng = np.random.default_rng(0)
    ends_C = np.append(starts_C[1:], len(values_NM)) if len(starts_C) else starts_C
    num_metrics = values_NM.shape[1]
    intervals_2CM = np.full((2, len(starts_C), num_metrics), np.nan)
    total_BM, count_M = np.zeros((_RESAMPLES, num_metrics)), np.zeros(num_metrics)
    for index, (start, end) in enumerate(zip(starts_C, ends_C, strict=True)):
        means_BM = np.concatenate(list(_resampled(values_NM[start:end], rng)))
        # A class may have resamples without a single known value; it counts with its others.
        known_M = np.isfinite(means_BM).any(axis=0)
        intervals_2CM[:, index] = _interval(means_BM)
        total_BM += np.where(np.isfinite(means_BM), means_BM, np.where(known_M, _nanmean(means_BM), 0))
        count_M += known_M
    mean_BM = np.divide(total_BM, count_M, out=np.full_like(total_BM, np.nan), where=count_M > 0)
    return ByClass(intervals_2CM, _interval(mean_BM))


def _resampled(
    values_NM: NDArray[np.float64] | NDArray[np.bool_], rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Means of resamples, some at a time; NaN where one has no number."""
    num_images, num_metrics = values_NM.shape
    known_NM = np.isfinite(values_NM)
    # Sums and counts in one product, in single precision: far finer than the spread of resamples. Where everything is
    # known, one column of counts does for all metrics.
    if known_NM.all():
        both_NG = np.concatenate([values_NM, np.ones((num_images, 1), bool)], axis=1, dtype=np.float32)
    else:
        both_NG = np.concatenate([np.where(known_NM, values_NM, 0), known_NM], axis=1, dtype=np.float32)
    for start in range(0, _RESAMPLES, step := max(_WEIGHTS_AT_ONCE // max(num_images, 1), 1)):
        at_once = min(step, _RESAMPLES - start)
        drawn = rng.integers(0, num_images, (at_once, num_images), dtype=np.int64)
        drawn += np.arange(at_once)[:, None] * num_images
        weights_BN = np.bincount(drawn.ravel(), minlength=at_once * num_images).reshape(at_once, num_images)
        sums_BG = (weights_BN.astype(np.float32) @ both_NG).astype(np.float64)
        sums_BM, counts_BM = sums_BG[:, :num_metrics], sums_BG[:, num_metrics:]
        yield np.divide(sums_BM, counts_BM, out=np.full_like(sums_BM, np.nan), where=counts_BM > 0)


def _nanmean(means_BM: NDArray[np.float64]) -> NDArray[np.float64]:
    known_BM = np.isfinite(means_BM)
    return np.where(known_BM, means_BM, 0).sum(axis=0) / np.maximum(known_BM.sum(axis=0), 1)


def _interval(means_BM: NDArray[np.float64]) -> NDArray[np.float64]:
    if np.isfinite(means_BM).all():
        return np.percentile(means_BM, _LEVELS, axis=0)
    interval_2M = np.full((2, means_BM.shape[1]), np.nan)
    known_M = np.isfinite(means_BM).any(axis=0)
    interval_2M[:, known_M] = np.nanpercentile(means_BM[:, known_M], _LEVELS, axis=0)
    return interval_2M
