"""How doubtful boxes are, on measures made up."""

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.evaluation.quality import doubts, quality
from psol_ray.tables.schemas import BOXES


def table(*rows: dict) -> pa.Table:
    common = {"status": "ok", "area_fraction": 0.4, "sign_margin": 0.9, "explained_variance_ratio": 0.2}
    return pa.Table.from_pylist([common | row for row in rows], schema=BOXES)


def test_the_most_that_a_measure_has_against_it() -> None:
    usual: list[dict] = [{}] * 5
    found = doubts(
        table(
            *usual,
            {"area_fraction": 0.1},
            {"area_fraction": 0.9},
            {"sign_margin": 0.1125},
            {"explained_variance_ratio": 0.05},
            {"area_fraction": 0.3, "sign_margin": 0.225},
        )
    )
    assert found.tolist() == pytest.approx([0] * 5 + [0.75, 0, 0.75, 0.5, 0.5])


def test_no_foreground_is_all_doubt_and_no_box_is_none() -> None:
    found = doubts(table({}, {"status": "no_foreground"}, {"status": "unreadable"}, {"status": None}))
    assert found[:2].tolist() == [0, 1]
    assert np.isnan(found[2:]).all()


def test_what_was_not_measured_says_nothing() -> None:
    nothing = {"area_fraction": None, "sign_margin": float("nan"), "explained_variance_ratio": None}
    assert np.isnan(doubts(table(nothing))).all()
    found = doubts(table({**nothing, "area_fraction": 0.2}, {**nothing, "area_fraction": 0.4}))
    assert found.tolist() == pytest.approx([1 / 3, 0])


def test_quality_is_what_doubt_leaves() -> None:
    found = quality(table({}, {}, {"area_fraction": 0.1}, {"status": "no_foreground"}, {"status": "unreadable"}))
    assert found[:4].tolist() == pytest.approx([1, 1, 0.25, 0])
    assert np.isnan(found[4])
