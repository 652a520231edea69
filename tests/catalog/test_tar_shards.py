"""Tar shards as others make them: classes, names, splits, and what is refused."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image
from s3 import Store, put_folder

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.passed_over import describe
from psol_ray.errors import UserError
from psol_ray.storage.addresses import image_addresses
from psol_ray.storage.ahead import read_bytes


def picture(width: int = 8, height: int = 6, kind: str = "JPEG") -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (width, height), (width, height, 0)).save(sink, kind)
    return sink.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def classes_of(root: Path | str) -> dict[str, str]:
    images = list_data("webdataset", str(root)).images
    return dict(zip(images["image_id"].to_pylist(), images["class_name"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("members", "name", "class_name"),
    [
        ({"a.jpg": picture(), "a.cls": b"7\n"}, "a.jpg", "0007"),
        ({"a.cls": b"cat", "a.jpg": picture()}, "a.jpg", "cat"),
        ({"a.jpg": picture(), "a.json": json.dumps({"class_name": "cat", "label": 3}).encode()}, "a.jpg", "cat"),
        ({"a.jpg": picture(), "a.json": json.dumps({"label": 3}).encode()}, "a.jpg", "0003"),
        # As timm's ImageNet has it: the number is of no use where the name says the synset.
        ({"n01440764_1.jpg": picture(), "n01440764_1.cls": b"0"}, "n01440764_1.jpg", "n01440764"),
        ({"./cat/a.PNG": picture(kind="PNG")}, "cat/a.PNG", "cat"),
        ({"x/cat/a.seg.png": picture(kind="PNG")}, "x/cat/a.seg.png", "cat"),
        ({"a.jpg": picture(), "a.json": json.dumps({"image_id": "k/b.jpg", "cls": "c"}).encode()}, "k/b.jpg", "c"),
    ],
)
def test_a_class_is_said_beside_the_image_or_by_its_folder_or_name(
    tmp_path: Path, members: Mapping[str, bytes], name: str, class_name: str
) -> None:
    write_tar(tmp_path / "train-0.tar", members)
    assert classes_of(tmp_path) == {name: class_name}


def test_sizes_places_and_boxes_are_those_of_the_images(tmp_path: Path) -> None:
    boxes = json.dumps({"class_name": "cat", "gt_boxes": [[1, 2, 3, 4], [0, 0, 5, 5]]}).encode()
    members = {"a.jpg": picture(9, 7), "a.json": boxes, "cat/b.png": picture(3, 4, "PNG"), "cat/c.jpg": b"no image"}
    write_tar(tmp_path / "train-0.tar", members)
    listing = list_data("webdataset", str(tmp_path))
    rows = {row["image_id"]: row for row in listing.images.to_pylist()}
    assert {name: (row["width"], row["height"]) for name, row in rows.items()} == {
        "a.jpg": (9, 7),
        "cat/b.png": (3, 4),
        "cat/c.jpg": (0, 0),
    }
    assert rows["a.jpg"]["gt_boxes"] == [[1, 2, 3, 4], [0, 0, 5, 5]]
    assert listing.files is not None
    images = listing.images.append_column("bytes", listing.files["bytes"])
    addresses = image_addresses(str(tmp_path), images)
    found = dict(zip(images["image_id"].to_pylist(), addresses, strict=True))
    assert {name: read_bytes(address) for name, address in found.items() if address} == {
        name: data for name, data in members.items() if name in ("a.jpg", "cat/b.png")
    }


@pytest.mark.parametrize(
    ("shards", "train", "test"),
    [
        (("train-0.tar", "val-0.tar"), ["train-0"], ["val-0"]),
        (
            ("imagenet1k-train-0.tar", "imagenet1k-validation-0.tar"),
            ["imagenet1k-train-0"],
            ["imagenet1k-validation-0"],
        ),
        (("train/0.tar", "val/0.tar", "test/0.tar"), ["train/0"], ["val/0"]),
        (("a.tar", "test.tar"), ["a"], ["test"]),
        (("a.tar", "b.tar"), ["a", "b"], []),
    ],
)
def test_names_of_shards_say_the_split(tmp_path: Path, shards: tuple[str, ...], train: list, test: list) -> None:
    for name in shards:
        write_tar(tmp_path / name, {f"cat/{name.removesuffix('.tar').replace('/', '_')}.jpg": picture()})
    images = list_data("webdataset", str(tmp_path)).images.to_pylist()
    found = {
        split: [row["shard"].removesuffix(".tar") for row in images if row["split"] == split]
        for split in ("train", "test")
    }
    assert found == {"train": train, "test": test}


def test_images_of_one_name_are_told_apart_by_their_shards(tmp_path: Path) -> None:
    for i in range(2):
        write_tar(tmp_path / f"train-{i}.tar", {"0.jpg": picture(), "0.cls": b"cat"})
    assert classes_of(tmp_path) == {"train-0/0.jpg": "cat", "train-1/0.jpg": "cat"}


def test_what_is_no_picture_is_passed_over(tmp_path: Path) -> None:
    write_tar(tmp_path / "train.tar", {"a.jpg": picture(), "a.cls": b"c", "readme.md": b"x"})
    assert describe(list_data("webdataset", str(tmp_path)).passed_over) == "1 with other suffixes (.md)"


def test_shards_in_a_store_are_those_on_a_disk(tmp_path: Path, store: Store) -> None:
    for split in ("train", "val"):
        for i in range(2):
            write_tar(tmp_path / f"{split}-{i}.tar", {f"cat/{split}{i}{j}.jpg": picture(8 + j, 9) for j in range(5)})
    put_folder(store.port, tmp_path, "bucket/shards")
    there, here = list_data("webdataset", store.uri("shards")), list_data("webdataset", str(tmp_path))
    assert there.images.equals(here.images)


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ({}, "found no .tar files, expected shards such as train-00000.tar"),
        ({"train.tar": {"a.jpg": picture()}}, "train.tar: found no class for a, expected a.cls or a.json with a label"),
        ({"val.tar": {"cat/a.jpg": picture()}}, r"found only shards of test images \(val.tar\)"),
        ({"train.tar": {"a.jpg": picture(), "a.json": b"{"}}, "train.tar, a.jpg: found .* expected JSON or text"),
        ({"train.tar": {"../../a.jpg": picture(), "../../a.cls": b"c"}}, "paths that are absolute or lead elsewhere"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, shards: Mapping[str, Mapping[str, bytes]], message: str) -> None:
    for name, members in shards.items():
        write_tar(tmp_path / name, members)
    with pytest.raises(UserError, match=message):
        list_data("webdataset", str(tmp_path))


def test_a_compressed_shard_is_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "train.tar.gz", {"cat/a.jpg": picture()}, "w:gz")
    with pytest.raises(UserError, match=r"train.tar.gz, which is compressed, expected .tar, .*; uncompress it"):
        list_data("webdataset", str(tmp_path))


@pytest.mark.parametrize("kept", [100, 700, 1536, 2000, 3000])
def test_a_shard_that_is_cut_short_is_named(tmp_path: Path, kept: int) -> None:
    path = write_tar(tmp_path / "train.tar", {f"cat/{i}.jpg": picture() for i in range(3)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"train.tar: found .*; it is cut short or damaged, copy it anew"):
        list_data("webdataset", str(tmp_path))
