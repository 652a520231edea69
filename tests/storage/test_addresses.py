"""Which address a catalog row has."""

import pickle

import pyarrow as pa
import pytest

from psol_ray.storage.addresses import Address, Cell, Span, image_addresses

ROWS = {"image_id": ["a.jpg", "b/c.jpg"], "width": [1, 0]}
SHARDS = {"shard": ["x.tar", "y.parquet"], "offset": [512, 7], "bytes": [100, 9]}


@pytest.mark.parametrize(
    ("root", "columns", "expected"),
    [
        ("/data", {}, ["/data/a.jpg", "/data/b/c.jpg"]),
        ("s3://bucket/data", {}, [Span("s3://bucket/data", "a.jpg"), Span("s3://bucket/data", "b/c.jpg")]),
        ("/data", SHARDS, [Span("/data", "x.tar", 512, 100), Cell("/data", "y.parquet", 7)]),
    ],
)
def test_an_image_lies_where_root_and_row_say(root: str, columns: dict, expected: list[Address]) -> None:
    images = pa.table({**ROWS, "width": [1, 1], **columns})
    assert image_addresses(root, images) == expected
    assert pickle.loads(pickle.dumps(image_addresses(root, images))) == expected


def test_what_has_no_size_or_is_left_out_is_not_opened() -> None:
    images = pa.table({**ROWS, **SHARDS})
    assert image_addresses("/data", images)[1] == ""
    assert image_addresses("/data", images, {"a.jpg"}) == ["", ""]


def test_an_address_is_told_without_its_secrets() -> None:
    root = "s3://key:secret@bucket/data?endpoint_override=http://host&secret_key=x"
    assert str(Span(root, "a.tar", 512, 100)) == "s3://bucket/data/a.tar (bytes 512 to 612)"
    assert str(Span(root, "a.jpg")) == "s3://bucket/data/a.jpg"
    assert str(Cell(root, "a.parquet", 7)) == "s3://bucket/data/a.parquet (row 7)"
