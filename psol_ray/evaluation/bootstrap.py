"""Percentile bootstrap of means: how far a figure could be off for want of images (Efron 1979).

Shape suffixes: N images, F figures, C classes, B resamples, S statistics, 2 = (low, high).
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

    classes_2CF: NDArray[np.float64]
    mean_2F: NDArray[np.float64]


def bootstrap(
    values_NF: NDArray[np.float64] | NDArray[np.bool_],
    of_means: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda means_BF: means_BF,
) -> NDArray[np.float64]:
    """95 % interval of each column's mean: shape (2, F), NaN for a column without a number.

    The same values give the same interval.

    Args:
        values_NF: an image's value of each figure; NaN does not count.
        of_means: statistics of the columns' means instead, (B, F) to (B, S): the interval has shape (2, S).
    """
    rng = np.random.default_rng(0)
    # Of a split without ground truth nothing is known, and it may be large.
    values_NF = values_NF[np.isfinite(values_NF).any(axis=1)]
    if not len(values_NF):
        return _interval(of_means(np.full((1, values_NF.shape[1]), np.nan)))
    return _interval(np.concatenate([of_means(means_BF) for means_BF in _resampled(values_NF, rng)]))


def bootstrap_by_class(values_NF: NDArray[np.float64], starts_C: NDArray[np.intp]) -> ByClass:
    """95 % intervals where images are resampled inside their classes, which stay as large as they are.

    A class of one image has an interval without width: nothing is known of its spread.

    Args:
        values_NF: as for `bootstrap`, one class's images after another's.
        starts_C: the first image of each class.
    """
    rng = np.random.default_rng(0)
    ends_C = np.append(starts_C[1:], len(values_NF)) if len(starts_C) else starts_C
    num_figures = values_NF.shape[1]
    intervals_2CF = np.full((2, len(starts_C), num_figures), np.nan)
    total_BF, count_F = np.zeros((_RESAMPLES, num_figures)), np.zeros(num_figures)
    for index, (start, end) in enumerate(zip(starts_C, ends_C, strict=True)):
        means_BF = np.concatenate(list(_resampled(values_NF[start:end], rng)))
        # A class may have resamples without a single known value; it counts with its others.
        known_F = np.isfinite(means_BF).any(axis=0)
        intervals_2CF[:, index] = _interval(means_BF)
        total_BF += np.where(np.isfinite(means_BF), means_BF, np.where(known_F, _nanmean(means_BF), 0))
        count_F += known_F
    mean_BF = np.divide(total_BF, count_F, out=np.full_like(total_BF, np.nan), where=count_F > 0)
    return ByClass(intervals_2CF, _interval(mean_BF))


def _resampled(
    values_NF: NDArray[np.float64] | NDArray[np.bool_], rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Means of resamples, some at a time; NaN where one has no number."""
    num_images, num_figures = values_NF.shape
    known_NF = np.isfinite(values_NF)
    # Sums and counts in one product, in single precision: far finer than the spread of resamples. Where everything is
    # known, one column of counts does for all figures.
    if known_NF.all():
        both_NG = np.concatenate([values_NF, np.ones((num_images, 1), bool)], axis=1, dtype=np.float32)
    else:
        both_NG = np.concatenate([np.where(known_NF, values_NF, 0), known_NF], axis=1, dtype=np.float32)
    for start in range(0, _RESAMPLES, step := max(_WEIGHTS_AT_ONCE // max(num_images, 1), 1)):
        at_once = min(step, _RESAMPLES - start)
        drawn = rng.integers(0, num_images, (at_once, num_images), dtype=np.int64)
        drawn += np.arange(at_once)[:, None] * num_images
        weights_BN = np.bincount(drawn.ravel(), minlength=at_once * num_images).reshape(at_once, num_images)
        sums_BG = (weights_BN.astype(np.float32) @ both_NG).astype(np.float64)
        sums_BF, counts_BF = sums_BG[:, :num_figures], sums_BG[:, num_figures:]
        yield np.divide(sums_BF, counts_BF, out=np.full_like(sums_BF, np.nan), where=counts_BF > 0)


def _nanmean(means_BF: NDArray[np.float64]) -> NDArray[np.float64]:
    known_BF = np.isfinite(means_BF)
    return np.where(known_BF, means_BF, 0).sum(axis=0) / np.maximum(known_BF.sum(axis=0), 1)


def _interval(means_BF: NDArray[np.float64]) -> NDArray[np.float64]:
    if np.isfinite(means_BF).all():
        return np.percentile(means_BF, _LEVELS, axis=0)
    found_2F = np.full((2, means_BF.shape[1]), np.nan)
    known_F = np.isfinite(means_BF).any(axis=0)
    found_2F[:, known_F] = np.nanpercentile(means_BF[:, known_F], _LEVELS, axis=0)
    return found_2F
