import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from s3 import Store, put_folder

from psol_ray.catalog.changes import find_changes
from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.listing import FILES, build_catalog
from psol_ray.catalog.source import FOLDER, look_at

from .test_tar_shards import picture, write_tar
from .trees import save, write

SECOND = 10**9
HEADER = "image_id,x0,y0,x1,y1\n"


class Recorded:
    """A catalog, as `psol index` keeps it."""

    def __init__(self, root: Path | str, layout: str = "folder") -> None:
        self.layout = layout
        listing = list_data(layout, str(root))
        source = look_at(str(root), str(root), listing)
        self.table: pa.Table = listing.images
        if "width" not in self.table.column_names:
            image_ids = listing.images["image_id"].to_pylist()
            self.table = build_catalog(listing.images, read_sizes(str(root), image_ids))
        for name in FILES.names:
            self.table = self.table.append_column(name, source.files[name])
        self.details = source.details

    def changes(self, root: Path | str) -> list[str]:
        """What is other in a folder now."""
        listing = list_data(self.layout, str(root))
        source = look_at(str(root), str(root), listing)
        return find_changes(str(root), listing.images["image_id"], source, self.table, self.details)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i, name in enumerate(("train/dog/1.bmp", "train/cat/2.bmp", "train/cat/3.bmp", "val/dog/4.bmp")):
        save(tmp_path / "data" / name, (10 + i, 9))
        os.utime(tmp_path / "data" / name, ns=(0, 10**18 + 123_456_789))
    write(tmp_path / "data/boxes.csv", HEADER + "train/dog/1.bmp,1,2,3,4\n")
    return tmp_path / "data"


def add_class(root: Path) -> None:
    for i in range(4):
        save(root / f"train/eel/{i}.bmp", (5, 5))


def swap_boxes(root: Path) -> None:
    write(root / "boxes.csv", HEADER + "train/cat/2.bmp,1,2,3,4\n")


def edit_in_place(root: Path) -> None:
    path = root / "train/cat/2.bmp"
    path.write_bytes(path.read_bytes()[:-4] + b"\xff" * 4)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _: None, []),
        (add_class, ["4 images added (train/eel/0.bmp, train/eel/1.bmp, train/eel/2.bmp and 1 more)"]),
        (lambda root: (root / "train/cat/2.bmp").unlink(), ["1 images removed (train/cat/2.bmp)"]),
        (lambda root: save(root / "train/cat/2.bmp", (50, 50)), ["1 images changed (train/cat/2.bmp)"]),
        (edit_in_place, ["1 images changed (train/cat/2.bmp)"]),
        (
            lambda root: (root / "train/cat/2.bmp").rename(root / "train/dog/2.bmp"),
            ["1 images added (train/dog/2.bmp)", "1 images removed (train/cat/2.bmp)"],
        ),
        (swap_boxes, ["boxes.csv changed"]),
        (lambda root: (root / "boxes.csv").unlink(), ["boxes.csv removed"]),
        (lambda root: write(root / "boxes.csv", HEADER.replace(",", ", ") + "train/dog/1.bmp,1.0,2,3,4\n"), []),
    ],
)
def test_what_differs_is_named(root: Path, change: Callable[[Path], object], told: list[str]) -> None:
    recorded = Recorded(root)
    change(root)
    assert recorded.changes(root) == told


def test_a_new_annotation_file_is_named_beside_images(root: Path) -> None:
    (root / "boxes.csv").unlink()
    recorded = Recorded(root)
    swap_boxes(root)
    save(root / "val/dog/5.bmp", (5, 5))
    assert recorded.changes(root) == ["1 images added (val/dog/5.bmp)", "boxes.csv added"]


def test_a_copy_elsewhere_is_the_same_whatever_its_times(root: Path, tmp_path: Path) -> None:
    recorded = Recorded(root)
    for path in shutil.copytree(root, tmp_path / "copy").rglob("*.bmp"):
        os.utime(path, ns=(0, 0))
    assert recorded.changes(tmp_path / "copy") == []
    # Nor does it matter that it takes the other's place.
    shutil.rmtree(root)
    (tmp_path / "copy").rename(root)
    assert recorded.changes(root) == []
    edit_in_place(root)
    assert recorded.changes(root) == ["1 images changed (train/cat/2.bmp)"]


def test_other_images_of_the_same_names_and_sizes_elsewhere_are_others(root: Path, tmp_path: Path) -> None:
    recorded = Recorded(root)
    for path in shutil.copytree(root, tmp_path / "copy").rglob("*.bmp"):
        path.write_bytes(path.read_bytes()[:-4] + b"\xff" * 4)
    (told,) = recorded.changes(tmp_path / "copy")
    assert told.startswith("4 images changed (")


def test_swapped_files_of_the_same_size_and_time_are_noticed_by_their_content(root: Path) -> None:
    for path in (root / "train/cat/2.bmp", root / "val/dog/4.bmp"):
        save(path, (10, 9))
        path.write_bytes(path.read_bytes()[:-4] + path.name.encode()[:4])
        os.utime(path, ns=(0, 10**18))
    recorded = Recorded(root)
    (root / "train/cat/2.bmp").rename(root / "x")
    (root / "val/dog/4.bmp").rename(root / "train/cat/2.bmp")
    (root / "x").rename(root / "val/dog/4.bmp")
    assert recorded.changes(root) == ["2 images changed (train/cat/2.bmp, val/dog/4.bmp)"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_sample_that_cannot_be_read_is_away_and_not_another(
    root: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    recorded = Recorded(root)
    if elsewhere:
        root = root.rename(root.parent / "other")
    there = Path.open

    def refuse(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == "2.bmp":
            raise PermissionError
        return there(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert recorded.changes(root) == ["1 images away (train/cat/2.bmp)"]


def test_a_time_that_has_lost_its_fraction_of_a_second_is_the_same(root: Path) -> None:
    recorded = Recorded(root)
    os.utime(root / "train/cat/2.bmp", ns=(0, 10**18))
    assert recorded.changes(root) == []
    os.utime(root / "train/cat/2.bmp", ns=(0, 10**18 + 123_456_790))
    assert recorded.changes(root) == ["1 images changed (train/cat/2.bmp)"]


def test_images_that_were_away_are_told_of_once_they_are_back(root: Path) -> None:
    stored = root / "train/cat/2.bmp"
    stored.rename(root.parent / "2.bmp")
    stored.symlink_to(root.parent / "gone.bmp")
    recorded = Recorded(root)
    assert recorded.changes(root) == []
    stored.unlink()
    stored.symlink_to(root.parent / "2.bmp")
    assert recorded.changes(root) == ["1 images there again (train/cat/2.bmp)"]
    recorded = Recorded(root)
    (root.parent / "2.bmp").unlink()
    assert recorded.changes(root) == ["1 images away (train/cat/2.bmp)"]


def test_a_folder_of_annotations_is_named_where_they_say_something_else(root: Path) -> None:
    recorded = Recorded(root)
    recorded.details["annotations"] = {"Annotations": FOLDER}
    listing = list_data("folder", str(root))
    source = replace(look_at(str(root), str(root), listing), annotations={"Annotations": FOLDER})
    compared = str(root), listing.images["image_id"], source, recorded.table, recorded.details
    assert find_changes(*compared) == []
    recorded.details["truth"] = "other"
    assert find_changes(*compared) == ["Annotations changed"]


def _shard(root: Path, order: str, **said: object) -> Path:
    members = {}
    for key in order:
        members |= {f"{key}.jpg": picture(ord(key)), f"{key}.json": json.dumps({"label": 0, **said}).encode()}
    write_tar(root / "train.tar", members)
    return root


@pytest.mark.parametrize(
    ("order", "said", "told"),
    [
        ("ab", {}, []),
        ("ba", {}, ["other classes, sizes or places of images"]),
        ("ab", {"label": 1}, ["other classes, sizes or places of images"]),
        ("ab", {"gt_boxes": [[1, 2, 3, 4]]}, ["other boxes"]),
    ],
)
def test_shards_elsewhere_that_say_something_else_of_the_same_images_are_others(
    tmp_path: Path, order: str, said: Mapping[str, object], told: list[str]
) -> None:
    recorded = Recorded(_shard(tmp_path / "one", "ab"), "webdataset")
    assert recorded.changes(_shard(tmp_path / "two", order, **said)) == told


def test_images_that_were_away_are_looked_for_at_the_address_that_was_given(root: Path, store: Store) -> None:
    put_folder(store.port, root, "bucket/away")
    address = store.uri("away")
    recorded = Recorded(address)
    away = pc.equal(recorded.table["image_id"], "train/cat/2.bmp")
    for name, value in (("width", 0), ("bytes", -1)):
        at, column = recorded.table.schema.get_field_index(name), recorded.table[name]
        recorded.table = recorded.table.set_column(at, name, pc.if_else(away, pa.scalar(value, column.type), column))
    assert recorded.changes(address) == ["1 images there again (train/cat/2.bmp)"]
