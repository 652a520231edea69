"""Folders of Google's store, of which there is nothing but the names of what is in them."""

import pyarrow as pa
from gcs import Bucket

from psol_ray.storage.tree import data_path
from psol_ray.tables import RunDir
from psol_ray.tables.files import open_uri
from psol_ray.tables.folder import Folder

from .stages import NEW, OLD, TABLE, complete


def test_a_folder_that_was_uploaded_is_listed(gcs: Bucket) -> None:
    for name in ("cat/1.jpg", "cat/2.jpg", "cat/deeper/3.jpg", "a.csv"):
        gcs.put(f"listing/{name}", b"12")
    # One that somebody has made an object of, as the console does.
    fs, path = open_uri("data.root", gcs.uri("listing"))
    fs.create_dir(f"{path}/empty")
    root = data_path(gcs.uri("listing"))
    assert {name: each.is_folder for name, each in root.entries().items()} == {  # type: ignore[union-attr]
        "a.csv": False,
        "cat": True,
        "empty": True,
    }
    below = (root / "cat").entries()  # type: ignore[union-attr]
    assert {name: (each.is_folder, each.size) for name, each in below.items()} == {
        "1.jpg": (False, 2),
        "2.jpg": (False, 2),
        "deeper": (True, 0),
    }
    assert {info.base_name for info in Folder(fs, path).entries()} == {"a.csv", "cat", "empty"}


def test_a_folder_that_is_not_there_is_empty(gcs: Bucket) -> None:
    root = data_path(gcs.uri("nothing"))
    assert not root.exists()
    assert root.entries() == {}  # type: ignore[union-attr]
    assert Folder(*open_uri("run_dir", gcs.uri("nothing"))).entries() == []


def test_a_table_is_written_read_and_overwritten(gcs: Bucket) -> None:
    stage = RunDir(gcs.uri("runs/a")).stage("catalog")
    complete(stage, OLD, "part-a", "part-b")
    stage.write_bytes("tensorboard/events", b"what a training leaves")
    assert stage.is_complete(OLD)
    assert stage.read(TABLE.schema) == pa.concat_tables([TABLE, TABLE])
    stage.begin(NEW, overwrite=True)
    assert stage.parts() == []
    complete(stage, NEW, "part-a")
    assert stage.read(TABLE.schema) == TABLE
    assert {info.base_name for info in stage.entries()} == {"_STARTED", "_SUCCESS", "part-a.parquet"}
