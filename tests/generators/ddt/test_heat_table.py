"""Heat as a table of bytes."""

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.generators.ddt import heat_table as module
from psol_ray.generators.ddt.heat_table import heat_table
from psol_ray.tables.schemas import HEAT

IMAGES = pa.table({"image_id": ["a", "b", "c"]})


def test_a_value_comes_back_to_half_a_step() -> None:
    heat_Mhw = np.random.default_rng(0).normal(0, 5, (2, 3, 4)).astype(np.float32)
    rows = heat_table(IMAGES, heat_Mhw, np.array([True, False, True])).to_pylist()
    assert [(row["height"], row["width"]) for row in rows] == [(3, 4), (0, 0), (3, 4)]
    assert rows[1]["values"] == b""
    for row, heat_hw in zip((rows[0], rows[2]), heat_Mhw, strict=True):
        values_hw = np.frombuffer(row["values"], np.int8).reshape(3, 4)
        assert np.abs(values_hw).max() == 127
        step = np.abs(heat_hw).max() / 127
        np.testing.assert_allclose(values_hw * step, heat_hw, atol=0.501 * step)


def test_a_class_without_a_readable_image_and_heat_of_nothing() -> None:
    table = heat_table(IMAGES, np.zeros((0, 0, 0), np.float32), np.zeros(3, bool))
    assert table.schema == HEAT
    assert table["values"].to_pylist() == [b"", b"", b""]
    flat = heat_table(IMAGES, np.zeros((3, 2, 2), np.float32), np.ones(3, bool))
    assert flat["values"].to_pylist() == [bytes(4)] * 3


def test_many_images_are_done_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    heat_Mhw = np.random.default_rng(0).normal(0, 5, (7, 3, 4)).astype(np.float32)
    images = pa.table({"image_id": [str(i) for i in range(11)]})
    ok_N = np.arange(11) % 3 != 1
    whole = heat_table(images, heat_Mhw, ok_N)
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    assert heat_table(images, heat_Mhw, ok_N).equals(whole)
