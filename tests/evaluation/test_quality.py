"""How far a box is trusted: the least of what was measured of it."""

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.evaluation.quality import quality
from psol_ray.tables.boxes_table import boxes_table

IMAGES = pa.table({"image_id": ["a"], "label": [0], "width": [100], "height": [100]})


def of(status: str = "ok", **measured: float) -> float:
    box = np.full((1, 4), np.nan) if status == "unreadable" else np.array([[10.0, 10, 60, 60]])
    usual = {"area_fraction": 0.3, "mean_heat": 1.0, "explained_variance_ratio": 0.3, "sign_margin": 0.9}
    return float(quality(boxes_table(IMAGES, box, np.array([status]), **usual | measured))[0])


def test_where_all_is_as_it_should_be_it_is_one() -> None:
    assert of() == 1.0


@pytest.mark.parametrize(
    "measured",
    [{"area_fraction": 0.1}, {"area_fraction": 0.95}, {"explained_variance_ratio": 0.02}, {"sign_margin": 0.2}],
)
def test_each_measure_alone_makes_it_doubtful(measured: dict[str, float]) -> None:
    assert 0.0 < of(**measured) < 0.7


@pytest.mark.parametrize("name", ["area_fraction", "explained_variance_ratio", "sign_margin"])
def test_what_a_method_does_not_measure_says_nothing(name: str) -> None:
    assert of(**{name: np.nan}) == 1.0


def test_nothing_found_is_worth_nothing() -> None:
    assert of("no_foreground") == 0.0
    assert np.isnan(of("unreadable"))


def test_the_less_certain_a_sign_the_lower() -> None:
    values = [of(sign_margin=margin) for margin in (0.0, 0.1, 0.2, 0.3)]
    assert values == sorted(values)
    assert values[0] == 0.0
