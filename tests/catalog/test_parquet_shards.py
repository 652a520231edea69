"""Parquet files with a column of images, as the hubs share them."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3 import Store, put_folder
from synthetic.row_groups import peak_memory, write_one_group

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.passed_over import describe
from psol_ray.errors import UserError
from psol_ray.storage.addresses import image_addresses
from psol_ray.storage.ahead import read_bytes

from .test_tar_shards import picture

STRUCT = [{"bytes": picture(8 + i, 9), "path": f"n0144{i}.JPEG"} for i in range(3)]
FEATURES = {"info": {"features": {"label": {"names": ["crane", "cat", "crane"], "_type": "ClassLabel"}}}}


def write_table(path: Path, metadata: dict[str, Any] | None = None, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if metadata:
        table = table.replace_schema_metadata({b"huggingface": json.dumps(metadata)})
    pq.write_table(table, path, row_group_size=2)
    return path


def test_the_layout_of_the_hubs(tmp_path: Path) -> None:
    write_table(tmp_path / "data/train-00000-of-00001.parquet", FEATURES, image=STRUCT, label=[0, 1, 2])
    write_table(tmp_path / "data/test-00000-of-00001.parquet", FEATURES, image=STRUCT[:1], label=[-1])
    listing = list_data("parquet", str(tmp_path))
    rows = {row["image_id"]: (row["class_name"], row["width"], row["shard"]) for row in listing.images.to_pylist()}
    shard = "data/train-00000-of-00001.parquet"
    assert rows == {
        "n01440.JPEG": ("crane (0)", 8, shard),
        "n01441.JPEG": ("cat", 9, shard),
        "n01442.JPEG": ("crane (2)", 10, shard),
    }
    assert describe(listing.passed_over) == "1 without a label"
    assert listing.files is not None
    images = listing.images.append_column("bytes", listing.files["bytes"])
    by_name = {each["path"]: each["bytes"] for each in STRUCT}
    for image_id, address in zip(images["image_id"].to_pylist(), image_addresses(str(tmp_path), images), strict=True):
        assert read_bytes(address) == by_name[image_id]


def test_bare_bytes_are_named_by_their_rows(tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", jpg=[picture(), b"no image", None], cls=["cat", "dog", "dog"])
    rows = list_data("parquet", str(tmp_path)).images.to_pylist()
    assert [(row["image_id"], row["class_name"], row["width"]) for row in rows] == [
        ("000000", "cat", 8),
        ("000001", "dog", 0),
        ("000002", "dog", 0),
    ]


def test_labels_are_names_or_numbers_or_none(tmp_path: Path) -> None:
    images = [picture()] * 4
    write_table(tmp_path / "numbers/train.parquet", FEATURES, image=images, label=[0, -2, 1, -100])
    listing = list_data("parquet", str(tmp_path / "numbers"))
    assert listing.images["class_name"].to_pylist() == ["cat", "crane (0)"]
    assert describe(listing.passed_over) == "2 without a label"
    write_table(tmp_path / "bytes/train.parquet", image=images, label=[b"a", "é".encode(), b"a", b"\xe9"])
    classes = list_data("parquet", str(tmp_path / "bytes")).images["class_name"].to_pylist()
    assert classes == ["\\xe9", "a", "a", "é"]
    write_table(tmp_path / "nan/train.parquet", image=images[:2], label=[0.0, float("nan")])
    assert list_data("parquet", str(tmp_path / "nan")).images["class_name"].to_pylist() == ["0.0"]


def test_a_label_beyond_the_names_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", FEATURES, image=STRUCT, label=[0, 3, 1])
    with pytest.raises(UserError, match=r"train.parquet: found the label 3, expected one of the 3 classes that its me"):
        list_data("parquet", str(tmp_path))


def test_paths_that_several_rows_have_are_no_names(tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", image=[{**each, "path": "image.jpg"} for each in STRUCT], label=[0, 1, 0])
    rows = list_data("parquet", str(tmp_path)).images.to_pylist()
    assert [(row["image_id"], row["width"]) for row in rows] == [("000000", 8), ("000002", 10), ("000001", 9)]


def test_tables_in_a_store_are_those_on_a_disk(tmp_path: Path, store: Store) -> None:
    write_table(tmp_path / "train.parquet", image=STRUCT, label=[0, 1, 2])
    put_folder(store.port, tmp_path, "bucket/tables")
    there, here = list_data("parquet", store.uri("tables")), list_data("parquet", str(tmp_path))
    assert there.images.equals(here.images)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [1]}, r"found the columns label \(int64\), expected one of encoded images"),
        ({"image": STRUCT[:1]}, r"found the columns image, expected one of classes \(class_name,"),
        ({"a": [b"x"], "b": [b"x"], "label": [1]}, r"found the columns a \(binary\), b \(binary\), label"),
    ],
)
def test_a_table_without_the_column_is_named(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    write_table(tmp_path / "train.parquet", **columns)
    with pytest.raises(UserError, match=f"train.parquet: {message}"):
        list_data("parquet", str(tmp_path))


def test_a_table_that_is_cut_short_is_named(tmp_path: Path) -> None:
    path = write_table(tmp_path / "train.parquet", image=STRUCT, label=[0, 1, 2])
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"train.parquet: found .*, expected a whole Parquet file; copy it anew"):
        list_data("parquet", str(tmp_path))


def test_no_table_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"found no \.parquet files"):
        list_data("parquet", str(tmp_path))


def test_shards_of_large_row_groups_are_listed_piece_by_piece(tmp_path: Path) -> None:
    write_one_group(tmp_path / "train-0.parquet", 1000, 80_000)
    for i in range(1, 12):
        os.link(tmp_path / "train-0.parquet", tmp_path / f"train-{i}.parquet")
    peak = peak_memory(
        "from psol_ray.catalog.parquet_shards import list_parquet_shards\nfrom psol_ray.storage.tree import data_path",
        f"list_parquet_shards(data_path({str(tmp_path)!r}))",
    )
    assert peak < 500, "twelve row groups of 80 MB"
