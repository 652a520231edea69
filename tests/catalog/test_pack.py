"""Shards hold every image to the byte, are found again, and are not written twice."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from PIL import Image
from synthetic.images import write_images
from synthetic.zoo import huge_png

from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.listing import build_catalog
from psol_ray.catalog.pack import pack
from psol_ray.catalog.source import look_at
from psol_ray.errors import UserError
from psol_ray.storage.addresses import image_addresses
from psol_ray.storage.ahead import read_bytes
from psol_ray.tables.folder import Folder

from .test_parquet_shards import write_table
from .test_tar_shards import picture


def catalog_of(layout: str, root: Path) -> pa.Table:
    """As `psol index` makes it, with the columns of `FILES` and, of shards, of `PLACES`."""
    listing = list_data(layout, str(root))
    files = look_at(str(root), str(root), listing).files
    images = listing.images
    if "width" not in images.column_names:
        images = build_catalog(images, read_sizes(str(root), images["image_id"].to_pylist()))
    for name in ("bytes", "modified"):
        images = images.append_column(name, files[name])
    return images


def run(images: pa.Table, root: Path, out: Path, shard_bytes: int = 5000) -> pa.Table:
    return pack(images, str(root), Folder(pafs.LocalFileSystem(), str(out)), shard_bytes, lambda _: None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_images(tmp_path / "data", ["red", "blue"])


def contents(root: Path, images: pa.Table) -> dict[str, bytes]:
    addresses = image_addresses(str(root), images)
    found = zip(images["image_id"].to_pylist(), addresses, strict=True)
    return {name: read_bytes(address) for name, address in found if address}


@pytest.mark.parametrize("with_index", [True, False])
def test_images_and_all_that_is_known_of_them_are_found_again(data: Path, tmp_path: Path, with_index: bool) -> None:
    images, out = catalog_of("folder", data), tmp_path / "out"
    run(images, data, out)
    if not with_index:
        (out / "psol.parquet").unlink()
    again = catalog_of("webdataset", out)
    columns = ["image_id", "label", "class_name", "split", "width", "height", "gt_boxes", "bytes"]
    assert again.select(columns).equals(images.select(columns))
    assert contents(out, again) == contents(data, images)
    assert len(set(again["shard"].to_pylist())) > 2


def test_other_readers_see_samples(data: Path, tmp_path: Path) -> None:
    run(catalog_of("folder", data), data, tmp_path / "out")
    with tarfile.open(tmp_path / "out/train-00000.tar") as tar:
        names = tar.getnames()
        assert names[:3] == ["train/blue/0.jpg", "train/blue/0.cls", "train/blue/0.json"]
        member = tar.extractfile(names[0])
        assert member is not None
        assert member.read() == (data / "train/blue/0.jpg").read_bytes()


def test_names_that_other_readers_take_for_one_sample_are_made_to_differ(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for name in ("a.jpg", "a.png", "a.b.jpg", "a_b.jpg"):
        (root / "train/c").mkdir(parents=True, exist_ok=True)
        (root / "train/c" / name).write_bytes(picture(kind="PNG" if name.endswith("png") else "JPEG"))
    images = catalog_of("folder", root)
    run(images, root, tmp_path / "out")
    with tarfile.open(tmp_path / "out/train-00000.tar") as tar:
        keys = {name.partition(".")[0] for name in tar.getnames()}
    assert len(keys) == 4
    (tmp_path / "out/psol.parquet").unlink()
    again = catalog_of("webdataset", tmp_path / "out")
    assert again["image_id"].to_pylist() == images["image_id"].to_pylist()


def test_shards_that_are_there_are_not_written_again(data: Path, tmp_path: Path) -> None:
    images, out = catalog_of("folder", data), tmp_path / "out"
    run(images, data, out)
    shards = sorted(out.glob("*.tar"))
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in shards}
    (out / "psol.parquet").unlink()
    shards[1].unlink()
    shards[2].write_bytes(b"cut short")
    run(images, data, out)
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in shards}
    assert {name: content for name, (content, _) in after.items()} == {n: content for n, (content, _) in before.items()}
    written = {name for name in before if after[name][1] != before[name][1]}
    assert written == {shards[1].name, shards[2].name}


def test_another_folder_is_not_written_into(data: Path, tmp_path: Path) -> None:
    images, out = catalog_of("folder", data), tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(UserError, match=r"found mine.txt there, expected an empty folder"):
        run(images, data, out)
    (out / "mine.txt").unlink()
    run(images, data, out)
    with pytest.raises(UserError, match=r"or one in which these very images were being packed; give another"):
        run(images, data, out, shard_bytes=9000)


def _other_bytes(data: Path) -> None:
    path = data / "train/red/3.jpg"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\xff\xd9")


def _other_box(data: Path) -> None:
    path = data / "boxes.csv"
    head, _, row = path.read_text().rstrip().rpartition("\n")
    path.write_text(f"{head}\n{row.rpartition(',')[0]},39\n")


@pytest.mark.parametrize("change", [_other_bytes, _other_box])
def test_shards_of_what_the_images_were_before_are_not_kept(
    data: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    out = tmp_path / "out"
    run(catalog_of("folder", data), data, out)
    (out / "psol.parquet").unlink()
    change(data)
    with pytest.raises(UserError, match=r"in which these very images were being packed"):
        run(catalog_of("folder", data), data, out)


def _remove(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("change", "message"),
    [(_remove, r"cannot be read \(No such file"), (_replace, "found 1 bytes, expected .* as when it was indexed")],
)
def test_an_image_that_is_not_what_it_was_is_named(
    data: Path, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    images = catalog_of("folder", data)
    change(data / "train/red/3.jpg")
    with pytest.raises(UserError, match=f"train/red/3.jpg: {message}"):
        run(images, data, tmp_path / "out")


def test_images_of_parquet_are_packed_as_they_lie(tmp_path: Path) -> None:
    images = [picture(8 + i, 9) for i in range(6)]
    write_table(tmp_path / "in/train.parquet", image=images, label=[0, 1, 0, 1, 0, 1])
    catalog = catalog_of("parquet", tmp_path / "in")
    packed = run(catalog, tmp_path / "in", tmp_path / "out")
    assert packed["image_id"].to_pylist() == [f"{i:06d}" for i in range(6)]
    assert contents(tmp_path / "out", packed) == {f"{i:06d}": image for i, image in enumerate(images)}


def test_images_whose_names_do_not_say_what_they_are_are_found_without_the_index(tmp_path: Path) -> None:
    kinds = ["JPEG", "PNG", "WEBP", "TIFF"]
    images = [*(picture(8 + i, 9, kind) for i, kind in enumerate(kinds)), b"no image"]
    paths = ["a/1", "a/2.x", "a/3", "a/" + 94 * "b", "a/4"]
    structs = [{"bytes": image, "path": path} for image, path in zip(images, paths, strict=True)]
    write_table(tmp_path / "in/train.parquet", image=structs, label=[0, 1, 0, 1, 0])
    write_table(tmp_path / "in/val.parquet", image=images, label=[0, 1, 0, 1, 0])
    out = tmp_path / "out"
    catalog = catalog_of("parquet", tmp_path / "in")
    run(catalog, tmp_path / "in", out, 100_000)
    with tarfile.open(out / "test-00000.tar") as tar:
        names = [name for name in tar.getnames() if not name.endswith((".cls", ".json"))]
    assert names == ["000000.jpg", "000001.png", "000002.webp", "000003.tiff", "000004.jpg"]
    (out / "psol.parquet").unlink()
    again = catalog_of("webdataset", out)
    columns = ["image_id", "label", "split", "width", "height"]
    assert again.select(columns).equals(catalog.select(columns))
    assert contents(out, again) == contents(tmp_path / "in", catalog)


def _cut(out: Path) -> str:
    path = out / "train-00001.tar"
    path.write_bytes(path.read_bytes()[:1000])
    return r"train-00001.tar: found 1,000 bytes, expected \d+(,\d+)*; copy it anew"


def _lose(out: Path) -> str:
    (out / "train-00001.tar").unlink()
    return r"found no train-00001.tar, which psol.parquet lists; copy the shards anew"


def _add(out: Path) -> str:
    shutil.copy(out / "train-00000.tar", out / "train-more.tar")
    return r"found train-more.tar, which psol.parquet does not list; move them elsewhere, or delete psol.parquet"


def _spoil(out: Path) -> str:
    (out / "psol.parquet").write_bytes(b"PAR1")
    return r"psol.parquet: found no index of shards .* pack them anew, or delete it"


def _other_table(out: Path) -> str:
    pq.write_table(pa.table({"a": [1]}), out / "psol.parquet")
    return r"psol.parquet: found no index of shards"


@pytest.mark.parametrize("spoil", [_cut, _lose, _add, _spoil, _other_table])
def test_shards_that_are_not_whole_are_named_before_any_work(
    data: Path, tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    run(catalog_of("folder", data), data, tmp_path / "out")
    with pytest.raises(UserError, match=spoil(tmp_path / "out")):
        list_data("webdataset", str(tmp_path / "out"))


@pytest.mark.parametrize("with_index", [True, False])
def test_images_too_large_for_the_run_that_packs_have_their_sizes(tmp_path: Path, with_index: bool) -> None:
    data, out, pixels = tmp_path / "data", tmp_path / "out", Image.MAX_IMAGE_PIXELS
    for name in ("a", "b"):
        (data / f"train/c/{name}.png").parent.mkdir(parents=True, exist_ok=True)
        (data / f"train/c/{name}.png").write_bytes(huge_png(20_000, 10_000) if name == "a" else b"no image")
    images = catalog_of("folder", data)
    assert images["width"].to_pylist() == [0, 0]
    run(images, data, out)
    if not with_index:
        (out / "psol.parquet").unlink()
    again = catalog_of("webdataset", out)
    assert (again["width"].to_pylist(), again["height"].to_pylist()) == ([20_000, 0], [10_000, 0])
    write_table(tmp_path / "in/train.parquet", image=[huge_png(20_000, 10_000)], label=[0])
    assert catalog_of("parquet", tmp_path / "in")["width"].to_pylist() == [20_000]
    assert pixels == Image.MAX_IMAGE_PIXELS
