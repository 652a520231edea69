"""Tar shards as others make them: classes, names, splits, and what is refused."""

import io
import json
import math
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image
from s3 import Store, put_folder
from synthetic.images import save

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.passed_over import describe
from psol_ray.errors import UserError
from psol_ray.storage.addresses import image_addresses
from psol_ray.storage.ahead import read_bytes


def picture(width: int = 8, height: int = 6, kind: str = "JPEG") -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (width, height), (width, height, 0)).save(sink, kind)
    return sink.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes | tuple[bytes, str]], mode: str = "w") -> Path:
    """Write an archive of files, and of links: their type, and what they link to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, tuple):
                info.type, info.linkname = data
                tar.addfile(info)
            else:
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


def test_hard_links_are_images_and_what_else_lies_there_is_counted(tmp_path: Path) -> None:
    first = picture(9, 7)
    members = {
        "./cat/a.jpg": first,
        "./cat/b.jpg": (tarfile.LNKTYPE, "./cat/a.jpg"),
        "./cat/._c.jpg": b"AppleDouble",
        "./cat/d.jpg": (tarfile.LNKTYPE, "./cat/gone.jpg"),
        "./cat/e.jpg": (tarfile.SYMTYPE, "a.jpg"),
        "./cat/f.jpg": (tarfile.FIFOTYPE, ""),
        "./cat/g.jpg": (tarfile.LNKTYPE, "./cat/b.jpg"),
    }
    write_tar(tmp_path / "train.tar", members)
    listing = list_data("webdataset", str(tmp_path))
    assert listing.files is not None
    assert listing.images["image_id"].to_pylist() == ["cat/a.jpg", "cat/b.jpg", "cat/g.jpg"]
    images = listing.images.append_column("bytes", listing.files["bytes"])
    assert {read_bytes(address) for address in image_addresses(str(tmp_path), images)} == {first}
    assert describe(listing.passed_over) == (
        "1 hidden, 1 pipes, sockets or devices (cat/f.jpg), 2 links that are not followed (cat/d.jpg, cat/e.jpg)"
    )


def write_synsets(path: Path, first: bytes, second: bytes) -> None:
    """Training images of two synsets, with these numbers beside them."""
    numbers = {"n01440764_1": first, "n01443537_2": second}
    write_tar(path, {f"{key}.{kind}": data for key, text in numbers.items() for kind, data in _sample(text)})


def _sample(text: bytes) -> list[tuple[str, bytes]]:
    return [("jpg", picture()), ("cls", text)]


@pytest.mark.parametrize(("second", "classes"), [("0", ["n01440764"]), ("1", ["n01440764", "n01443537"])])
def test_numbers_are_the_synsets_that_training_images_show_them_to_be(
    tmp_path: Path, second: str, classes: list[str]
) -> None:
    write_synsets(tmp_path / "train-0.tar", b"0", b"1")
    key = "ILSVRC2012_val_0000000"
    val = {f"{key}1.jpg": picture(), f"{key}1.cls": b"0", f"{key}2.jpg": picture(), f"{key}2.cls": second.encode()}
    write_tar(tmp_path / "val-0.tar", val)
    found = classes_of(tmp_path)
    assert {found[name] for name in val if name.endswith(".jpg")} == set(classes)


def test_numbers_of_several_synsets_stay_numbers(tmp_path: Path) -> None:
    write_synsets(tmp_path / "train-0.tar", b"0", b"0")
    write_tar(tmp_path / "val-0.tar", {"a.jpg": picture(), "a.cls": b"0"})
    with pytest.raises(UserError, match=r"found 1 test images of 1 classes without training images \(0000\)"):
        classes_of(tmp_path)


def test_a_negative_number_is_no_label(tmp_path: Path) -> None:
    members = {f"{key}.jpg": picture() for key in "abc"}
    texts = {"a.cls": b"0", "b.cls": b"-1\n", "c.json": json.dumps({"label": -100}).encode()}
    write_tar(tmp_path / "train.tar", dict(sorted((members | texts).items())))
    listing = list_data("webdataset", str(tmp_path))
    assert listing.images["image_id"].to_pylist() == ["a.jpg"]
    assert describe(listing.passed_over) == "2 without a label"


def test_what_else_is_drawn_of_an_image_is_no_image(tmp_path: Path) -> None:
    masks = {"a.seg.png": picture(kind="PNG"), "a.jpg": picture(), "a.depth.png": picture(kind="PNG"), "a.cls": b"cat"}
    write_tar(tmp_path / "train.tar", masks)
    listing = list_data("webdataset", str(tmp_path))
    assert listing.images["image_id"].to_pylist() == ["a.jpg"]
    assert describe(listing.passed_over) == "2 with other suffixes (.depth.png, .seg.png)"


def test_ids_that_several_images_of_a_shard_have_are_no_ids(tmp_path: Path) -> None:
    said = json.dumps({"label": 1, "image_id": 139}).encode()
    write_tar(tmp_path / "train-0.tar", {"a.jpg": picture(), "a.json": said, "b.jpg": picture(), "b.json": said})
    write_tar(tmp_path / "train-1.tar", {"c.jpg": picture(), "c.json": said})
    assert list(classes_of(tmp_path)) == ["139", "a.jpg", "b.jpg"]


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
        *(
            (
                {"train.tar": {"a.jpg": picture(), "a.json": json.dumps({"label": 1, "gt_boxes": boxes}).encode()}},
                f"train.tar, a: found {found}",
            )
            for boxes, found in (
                (
                    [1, 2, 3, 4],
                    r"\[1, 2, 3, 4\] as gt_boxes, expected a list of boxes, each a list of four numbers; mend it",
                ),
                ([[1, 2, 3]], r"\[\[1, 2, 3\]\] as gt_boxes"),
                ([[1, 2, 3, 4, 5], [1, 2, 3]], r"\[\[1, 2, 3, 4, 5\], \[1, 2, 3\]\] as gt_boxes"),
                ({"x": 1}, r"{'x': 1} as gt_boxes"),
                ([["a", 1, 2, 3]], "a, 1, 2, 3, expected four finite numbers; fix the box"),
                ([[math.nan, 1, 2, 3]], "nan, 1, 2, 3, expected four finite numbers"),
                ([[10**400, 1, 2, 3]], "10+, 1, 2, 3, expected four finite numbers"),
                ([[None, 1, 2, 3]], "None, 1, 2, 3, expected four finite numbers"),
            )
        ),
        (
            {"train.tar": {"a.jpg": picture(), "a.json": json.dumps({"label": [1, 2]}).encode()}},
            r"train.tar, a: found \[1, 2\] as its class, expected a number or a name",
        ),
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


@pytest.mark.parametrize("padding", [0, 1 << 21])
@pytest.mark.parametrize("in_store", [False, True])
def test_archives_that_were_joined_are_refused(tmp_path: Path, store: Store, padding: int, in_store: bool) -> None:
    first, second = (write_tar(tmp_path / f"{i}.tar", {f"cat/{i}.jpg": picture()}).read_bytes() for i in range(2))
    folder = tmp_path / "shards"
    folder.mkdir()
    path = folder / "train.tar"
    path.write_bytes(first + bytes(padding))
    assert classes_of(folder) == {"cat/0.jpg": "cat"}
    path.write_bytes(first + bytes(padding) + second)
    put_folder(store.port, folder, f"bucket/joined{padding}")
    root = store.uri(f"joined{padding}") if in_store else str(folder)
    with pytest.raises(UserError, match=r"train.tar: found more behind the end of its first archive, expected a sing"):
        list_data("webdataset", root)


@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_a_sparse_file_is_refused_by_its_name(tmp_path: Path, form: str) -> None:
    path = tmp_path / "cat/a.bmp"
    save(path, (600, 600))
    header = path.read_bytes()[:54]
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(header)
        file.truncate(600 * 600 * 3 + 54)
    subprocess.run(["tar", "--sparse", f"--format={form}", "-cf", "train.tar", "cat"], cwd=tmp_path, check=True)
    with pytest.raises(UserError, match=r"train.tar: found the sparse file cat/a.bmp, expected files with all their"):
        list_data("webdataset", str(tmp_path))
