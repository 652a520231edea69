"""Intervals against what is known of means of coin tosses."""

import numpy as np
import pytest

from psol_ray.evaluation.bootstrap import bootstrap, bootstrap_by_class


def test_a_proportion_has_the_width_that_theory_says() -> None:
    heads_N = np.arange(1000) % 4 == 0
    (low,), (high,) = bootstrap(heads_N[:, None].astype(float))
    margin = 1.96 * np.sqrt(0.25 * 0.75 / 1000)
    assert low == pytest.approx(0.25 - margin, abs=0.004)
    assert high == pytest.approx(0.25 + margin, abs=0.004)


def test_is_found_again() -> None:
    values_NM = np.random.default_rng(1).random((50, 3))
    np.testing.assert_array_equal(bootstrap(values_NM), bootstrap(values_NM))


def test_columns_are_resampled_together_and_what_is_not_known_does_not_count() -> None:
    values_NM = np.random.default_rng(2).random((200, 1))
    known_NM = np.concatenate([values_NM, np.full((300, 1), np.nan)])
    both_NM = np.concatenate([known_NM, 2 * known_NM], axis=1)
    (low, double_low), (high, double_high) = bootstrap(both_NM)
    assert (double_low, double_high) == pytest.approx((2 * low, 2 * high))
    (low_alone,), (high_alone,) = bootstrap(values_NM)
    assert (low, high) == pytest.approx((low_alone, high_alone), abs=0.01)


@pytest.mark.parametrize("values_NM", [np.zeros((0, 2)), np.full((5, 2), np.nan)], ids=["no image", "nothing known"])
@pytest.mark.filterwarnings("error")
def test_of_nothing_nothing_is_known(values_NM: np.ndarray) -> None:
    assert np.isnan(bootstrap(values_NM)).all()
    starts_C = np.zeros(min(len(values_NM), 1), np.intp)
    assert np.isnan(bootstrap_by_class(values_NM, starts_C).mean_2M).all()


def test_statistics_of_means_are_taken_in_each_resample() -> None:
    """The larger part of tosses that come down heads or tails."""
    heads_N = np.arange(1000) % 2 == 0
    both_NM = np.stack([heads_N, ~heads_N], axis=1).astype(float)
    (low,), (high,) = bootstrap(both_NM, lambda means_BF: means_BF.max(axis=1, keepdims=True))
    assert 0.5 <= low < 0.502
    # The excess is a half normal one, of which 97.5 % are below 2.24 standard deviations.
    assert high == pytest.approx(0.5 + 2.24 * 0.5 / np.sqrt(1000), abs=0.004)


def test_more_images_than_fit_at_once() -> None:
    heads_N1 = (np.arange(20_000) % 2 == 0).astype(float)[:, None]
    (low,), (high,) = bootstrap(heads_N1)
    assert low == pytest.approx(0.5 - 1.96 * 0.5 / np.sqrt(20_000), abs=0.001)
    assert high == pytest.approx(0.5 + 1.96 * 0.5 / np.sqrt(20_000), abs=0.001)


def test_classes_are_resampled_inside() -> None:
    """A class that is all right and one that is all wrong: nothing is uncertain but which images there are."""
    values_N1 = np.repeat([1.0, 0.0], 10)[:, None]
    found = bootstrap_by_class(values_N1, np.array([0, 10]))
    assert found.classes_2CM[:, :, 0].tolist() == [[1, 0], [1, 0]]
    assert found.mean_2M.tolist() == [[0.5], [0.5]]
    (low,), (high,) = bootstrap(values_N1)
    assert low < 0.4
    assert high > 0.6


def test_a_class_of_which_nothing_is_known_does_not_count() -> None:
    values_N1 = np.concatenate([np.ones(5), np.full(5, np.nan), np.zeros(5)])[:, None]
    found = bootstrap_by_class(values_N1, np.array([0, 5, 10]))
    assert np.isnan(found.classes_2CM[:, 1]).all()
    assert found.mean_2M.tolist() == [[0.5], [0.5]]
