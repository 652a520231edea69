"""Heat as the page's script is given it."""

import base64

import numpy as np
import pyarrow as pa

from psol_ray.report.heats import heat_records, map_records
from psol_ray.tables.schemas import HEAT, MAPS


def values(record: dict) -> list[int]:
    return np.frombuffer(base64.b64decode(record["values"]), np.int8).tolist()


def test_heat_as_it_is_and_none_of_what_could_not_be_read() -> None:
    rows = [
        {"image_id": "a", "height": 1, "width": 3, "values": np.array([-127, 0, 3], np.int8).tobytes()},
        {"image_id": "b", "height": 0, "width": 0, "values": b""},
    ]
    records = heat_records(pa.Table.from_pylist(rows, schema=HEAT))
    assert records.keys() == {"a"}
    assert (records["a"]["height"], records["a"]["width"], values(records["a"])) == (1, 3, [-127, 0, 3])


def test_maps_are_object_above_their_threshold() -> None:
    rows = [{"image_id": "a", "height": 2, "width": 2, "values": np.array([0, 0.2, 0.6, 1], np.float16)}]
    records = map_records(pa.Table.from_pylist(rows, schema=MAPS), 0.2)
    assert np.sign(values(records["a"])).tolist() == [-1, 0, 1, 1]
    assert max(values(records["a"])) == 127
