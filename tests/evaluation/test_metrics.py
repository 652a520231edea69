"""Figures as means over images."""

import numpy as np
import pytest

from psol_ray.evaluation import Protocol
from psol_ray.evaluation.figures import nested
from psol_ray.evaluation.scores import BoxScores


@pytest.mark.parametrize(
    ("ious", "expected"),
    [
        pytest.param([0.29], 0.0, id="under all"),
        pytest.param([30 / 100], 1 / 3, id="at 0.3"),
        pytest.param([0.5], 2 / 3, id="at 0.5"),
        pytest.param([70 / 100], 1.0, id="at 0.7"),
        pytest.param([0.4, 0.6, 0.9, 0.0], (3 / 4 + 2 / 4 + 1 / 4) / 3, id="several"),
        pytest.param([0.6, np.nan], 2 / 3, id="no ground truth"),
        pytest.param([np.nan], np.nan, id="nothing known"),
    ],
)
def test_max_box_acc_v2_is_a_mean_over_images(ious: list[float], expected: float) -> None:
    values_N = BoxScores(np.arange(len(ious)), np.array(ious), Protocol()).figures()["max_box_acc_v2"]
    known_N = values_N[np.isfinite(values_N)]
    assert (known_N.mean() if len(known_N) else np.nan) == pytest.approx(expected, nan_ok=True)


def test_no_image_has_no_figures() -> None:
    figures = BoxScores(np.zeros(0, int), np.zeros(0), Protocol()).figures()
    assert all(len(values_N) == 0 for values_N in figures.values())


def test_above_counts_for_every_threshold() -> None:
    figures = BoxScores(np.arange(3), np.array([0.3, 0.5, 0.7]), Protocol(above=True)).figures()
    assert [figures[name].sum() for name in ("iou_30", "gt_known", "iou_70")] == [2, 1, 0]


def test_names_become_a_tree() -> None:
    assert nested(["a.b", "a.c", "d"], np.array([1, np.nan, 3])) == {"a": {"b": 1, "c": None}, "d": 3}
    assert nested(["a"], np.array([[1.0], [2.0]])) == {"a": [1, 2]}
