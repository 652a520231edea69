"""Box columns there and back."""

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.tables.schemas import BOXES, CATALOG, MAPS, PREDICTIONS, SCORES, box_columns, boxes_array


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([[0, 1, 2.5, 3], [4, 5, 6, 7]], id="two"),
        pytest.param([[np.nan] * 4, [0, 0, 1, 1]], id="NaN stays"),
        pytest.param(np.zeros((0, 4)), id="none"),
    ],
)
def test_box_columns_there_and_back(boxes: list[list[float]]) -> None:
    boxes_N4 = np.array(boxes, np.float64)
    columns = box_columns(boxes_N4)
    assert list(columns) == ["x0", "y0", "x1", "y1"]
    assert {column.dtype for column in columns.values()} == {np.dtype(np.float32)}
    back = boxes_array(pa.table(columns))
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, boxes_N4)


def test_every_table_is_keyed_by_image_id() -> None:
    assert {schema.field("image_id").type for schema in (CATALOG, BOXES, MAPS, PREDICTIONS, SCORES)} == {pa.string()}
    assert {schema.names[0] for schema in (CATALOG, BOXES, MAPS, PREDICTIONS, SCORES)} == {"image_id"}
