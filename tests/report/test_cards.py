"""What is said below an image."""

import numpy as np
import pytest

from psol_ray.report.cards import Verdict, _verdicts

BOX_4 = np.array([0.0, 0.0, 5.0, 5.0])


@pytest.mark.parametrize(
    ("iou", "told", "correct"),
    [(0.5, "0.50", True), (0.4999, "0.49", False), (0.29, "0.29", False), (0.9999, "0.99", True), (1.0, "1.00", True)],
)
def test_an_iou_is_never_told_higher_than_it_is(iou: float, told: str, correct: bool) -> None:
    assert _verdicts("pseudo", "DDT", BOX_4, iou, correct) == [Verdict("pseudo", "DDT", told, correct)]


def test_without_ground_truth_nothing_is_judged_and_without_a_box_nothing_is_said() -> None:
    assert _verdicts("pseudo", "DDT", BOX_4, np.nan, None) == [Verdict("pseudo", "DDT", None, None)]
    assert _verdicts("pseudo", "DDT", np.full(4, np.nan), 0.0, False) == []
