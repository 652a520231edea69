"""Tables on their way to an actor."""

import pyarrow as pa
import pytest

from psol_ray.distributed.packed import pack, unpack
from psol_ray.tables import CATALOG


@pytest.mark.parametrize("number", [0, 1, 1300])
def test_unpacks_to_what_was_packed(number: int) -> None:
    table = pa.table(
        {
            "image_id": [f"train/n01440764/n01440764_{i}.JPEG" for i in range(number)],
            "label": [3] * number,
            "class_name": ["n01440764"] * number,
            "split": ["train"] * number,
            "width": range(number),
            "height": [375] * number,
            "gt_boxes": [[[0, 1, 2, 3]]] * number,
        },
        schema=CATALOG,
    )
    packed = pack(table)
    assert unpack(packed).equals(table)
    assert len(packed) < 100_000  # beyond that Ray sends it by way of its object store


def test_a_slice_travels_without_the_rest_of_its_table() -> None:
    table = pa.table({"x": range(1_000_000)})
    packed = pack(table.slice(500_000, 3))
    assert unpack(packed)["x"].to_pylist() == [500_000, 500_001, 500_002]
    assert len(packed) < 10_000
