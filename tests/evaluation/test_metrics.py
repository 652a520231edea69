"""Metrics as means over images."""

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.evaluation import Metrics, ScoringProtocol
from psol_ray.evaluation.metrics import nested
from psol_ray.tables.schemas import SCORES


def metrics_of(ious: Sequence[float | None], protocol: ScoringProtocol | None = None) -> dict[str, np.ndarray]:
    """What test images of these IoUs add to each metric of pseudo boxes."""
    rows = [{"image_id": str(i), "label": 0, "split": "test", "pseudo_iou": iou} for i, iou in enumerate(ious)]
    found = Metrics.of(pa.Table.from_pylist(rows, schema=SCORES), "test", protocol)
    prefix = "pseudo_boxes.test."
    return {
        name.removeprefix(prefix): values_N
        for name, values_N in zip(found.names, found.values_NM.T, strict=True)
        if name.startswith(prefix)
    }


@pytest.mark.parametrize(
    ("ious", "expected"),
    [
        pytest.param([0.29], 0.0, id="under all"),
        pytest.param([30 / 100], 1 / 3, id="at 0.3"),
        pytest.param([0.5], 2 / 3, id="at 0.5"),
        pytest.param([70 / 100], 1.0, id="at 0.7"),
        pytest.param([0.4, 0.6, 0.9, 0.0], (3 / 4 + 2 / 4 + 1 / 4) / 3, id="several"),
        pytest.param([0.6, None], 2 / 3, id="no ground truth"),
        pytest.param([None], math.nan, id="nothing known"),
    ],
)
def test_max_box_acc_v2_is_a_mean_over_images(ious: list[float | None], expected: float) -> None:
    values_N = metrics_of(ious)["max_box_acc_v2"]
    known_N = values_N[np.isfinite(values_N)]
    assert (known_N.mean() if len(known_N) else np.nan) == pytest.approx(expected, nan_ok=True)


def test_no_image_has_no_metrics() -> None:
    assert [len(values_N) for values_N in metrics_of([]).values()] == [0] * 6


def test_above_counts_for_every_threshold() -> None:
    found = metrics_of([0.3, 0.5, 0.7], ScoringProtocol(above=True))
    assert [found[name].sum() for name in ("iou_30", "gt_known", "iou_70")] == [2, 1, 0]


def test_names_become_a_tree() -> None:
    assert nested(["a.b", "a.c", "d"], np.array([1, np.nan, 3])) == {"a": {"b": 1, "c": None}, "d": 3}
    assert nested(["a"], np.array([[1.0], [2.0]])) == {"a": [1, 2]}
