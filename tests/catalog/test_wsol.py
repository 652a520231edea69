import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from psol_ray.catalog.layouts import list_data, list_images
from psol_ray.catalog.listing import LISTING
from psol_ray.catalog.passed_over import Reason
from psol_ray.errors import UserError
from psol_ray.evaluation.baselines import whole_image_score
from psol_ray.formats import wsol
from psol_ray.tables.schemas import CATALOG, box_columns

from .trees import boxes_of, rows_of, touch, write

FILES = {
    "train/image_ids.txt": "001.Ant/b.jpg\n002.Owl/a.jpg\n001.Ant/a b.jpg",
    "train/class_labels.txt": "002.Owl/a.jpg,1\n001.Ant/b.jpg,0\n001.Ant/a b.jpg,0",
    "train/image_sizes.txt": "001.Ant/b.jpg,50,40\n002.Owl/a.jpg,60,70\n001.Ant/a b.jpg,8,9",
    "test/image_ids.txt": "001.Ant/c.jpg\n",
    "test/class_labels.txt": "001.Ant/c.jpg,0\n",
    "test/image_sizes.txt": "001.Ant/c.jpg,30,20\n",
    "test/localization.txt": "001.Ant/c.jpg,1,2,29,19\n001.Ant/c.jpg,0,0,0,7\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        write(tmp_path / name, text)
    return tmp_path


def metadata(shared: Path, name: str) -> str:
    folder = shared / "data/wsolevaluation_metadata" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return str(folder)


def test_images_in_the_order_of_the_files_with_labels_sizes_and_boxes(root: Path) -> None:
    catalog = list_images("wsol", str(root))
    assert catalog.schema.equals(CATALOG)
    assert rows_of(catalog) == [
        ("001.Ant/b.jpg", "train", 0),
        ("002.Owl/a.jpg", "train", 1),
        ("001.Ant/a b.jpg", "train", 0),
        ("001.Ant/c.jpg", "test", 0),
    ]
    assert catalog["class_name"].to_pylist() == ["001.Ant", "002.Owl", "001.Ant", "001.Ant"]
    assert list(zip(catalog["width"].to_pylist(), catalog["height"].to_pylist(), strict=True)) == [
        (50, 40),
        (60, 70),
        (8, 9),
        (30, 20),
    ]
    assert boxes_of(catalog) == {"001.Ant/c.jpg": [(1, 2, 29, 19), (0, 0, 0, 7)]}


def test_metadata_may_lie_apart_from_images(root: Path, tmp_path: Path) -> None:
    assert list_images("wsol", str(tmp_path / "gone"), str(root)) == list_images("wsol", str(root))
    with pytest.raises(UserError, match=r"data.metadata '.*gone' does not exist, expected a folder of metadata"):
        list_images("wsol", str(root), str(tmp_path / "gone"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_headers_are_needed_where_a_split_does_not_say_sizes(root: Path, split: str) -> None:
    (root / split / "image_sizes.txt").unlink()
    assert list_images("wsol", str(root)).schema.equals(LISTING)


@pytest.mark.parametrize("text", ["", "\n"])
def test_empty_files_say_nothing_as_published_for_training_images(root: Path, text: str) -> None:
    for name in ("image_sizes", "localization"):
        write(root / f"train/{name}.txt", text)
    listing = list_images("wsol", str(root))
    assert listing.schema.equals(LISTING)
    assert boxes_of(listing) == {"001.Ant/c.jpg": [(1, 2, 29, 19), (0, 0, 0, 7)]}


def test_masks_as_published_for_openimages_are_told_of_and_not_read(root: Path) -> None:
    for path in ("train/image_sizes", "train/localization", "test/image_sizes"):
        write(root / f"{path}.txt", "")
    masks = "001.Ant/c.jpg,001.Ant/c_m0.png,001.Ant/c_ignore.png\n001.Ant/c.jpg,001.Ant/c_m1.png,\n"
    write(root / "test/localization.txt", masks)
    write(root / "train/image_ids_proxy.txt", "001.Ant/b.jpg\n")
    (root / "val").mkdir()
    found = list_data("wsol", str(root))
    assert boxes_of(found.images) == {}
    assert found.remarks == ["test/localization.txt names masks, which are not read"]
    assert found.passed_over == {(Reason.FOLDER, "val"): 1}


def test_files_in_other_unicode_forms_speak_of_the_same_images(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    touch(tmp_path, f"images/{nfd}/{nfd}.jpg")
    write(tmp_path / "meta/test/image_ids.txt", f"{nfc}/{nfd}.jpg\n")
    write(tmp_path / "meta/test/class_labels.txt", f"{nfd}/{nfc}.jpg,0\n")
    listing = list_images("wsol", str(tmp_path / "images"), str(tmp_path / "meta"))
    assert listing.select(["image_id", "class_name"]).to_pylist() == [
        {"image_id": f"{nfd}/{nfd}.jpg", "class_name": nfc}
    ]
    write(tmp_path / "meta/test/image_ids.txt", f"{nfc}/{nfc}.jpg\n{nfd}/{nfc}.jpg")
    with pytest.raises(UserError, match=r"image_ids.txt: found 2 names that look like .* U\+0301"):
        list_images("wsol", str(tmp_path / "images"), str(tmp_path / "meta"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_split_is_enough(root: Path, split: str) -> None:
    (root / split).rename(root / "val")
    catalog = list_images("wsol", str(root))
    assert set(catalog["split"].to_pylist()) == {"train", "test"} - {split}


def test_val_is_never_test(root: Path) -> None:
    expected = list_images("wsol", str(root))
    for name in ("image_ids", "class_labels", "image_sizes", "localization"):
        write(root / f"val/{name}.txt", FILES[f"test/{name}.txt"].replace("c.jpg", "v.jpg"))
    assert list_images("wsol", str(root)) == expected
    for split in ("train", "test"):
        (root / split).rename(root / f"no_{split}")
    with pytest.raises(UserError, match=r"found neither train nor test, expected one .* \(val is not read\)"):
        list_images("wsol", str(root))


@pytest.mark.parametrize(
    ("images", "names"),
    [
        pytest.param({"n02/a.jpg": 1, "n01/b.jpg": 0}, ["n02", "n01"], id="a folder a class"),
        pytest.param({"train/n02/a.jpg": 1, "train/n01/b.jpg": 0}, ["n02", "n01"], id="deeper"),
        pytest.param(
            {"n02/a.jpg": 1, "n01/b.jpg": 0, "val/c.jpg": 0, "val/d.jpg": 1}, ["n02", "n01", "n01", "n02"], id="mixed"
        ),
        pytest.param({"val/a.jpg": 10, "val/b.jpg": 2}, ["10", "02"], id="one folder"),
        pytest.param({"a.jpg": 10, "b.jpg": 2}, ["10", "02"], id="none"),
        pytest.param({"n02/a.jpg": 1, "n01/b.jpg": 0, "n03/c.jpg": 0}, ["1", "0", "0"], id="two folders of a class"),
        pytest.param({"n02/a.jpg": 1, "b.jpg": 0}, ["1", "0"], id="not every class has one"),
    ],
)
def test_a_class_is_named_after_its_folder_or_its_number(
    tmp_path: Path, images: dict[str, int], names: list[str]
) -> None:
    write(tmp_path / "test/image_ids.txt", "\n".join(images))
    write(tmp_path / "test/class_labels.txt", "\n".join(f"{image_id},{label}" for image_id, label in images.items()))
    listing = list_images("wsol", str(tmp_path))
    assert listing["label"].to_pylist() == list(images.values())
    assert listing["class_name"].to_pylist() == names


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("train/image_ids.txt", None, "image_ids.txt does not exist, expected a file of wsolevaluation's metadata"),
        ("train/class_labels.txt", None, "class_labels.txt does not exist"),
        ("train/image_ids.txt", "", "image_ids.txt: found no image"),
        ("train/image_ids.txt", "/data/a.jpg\n/b.jpg", r"found 2 paths that are absolute .*\('/data/a.jpg', '/b"),
        (
            "train/image_ids.txt",
            "a.jpg\nb/../../c.jpg",
            r"image_ids.txt: found 1 paths .*\('b/../../c.jpg'\), expected",
        ),
        ("train/image_ids.txt", "a.jpg,3\nb.jpg", r"found 1 lines of another form \('a.jpg,3'\), expected IMAGE_ID;"),
        ("train/image_ids.txt", "a.jpg\nb.jpg\na.jpg", r"image_ids.txt: found 1 images more than once \(a.jpg\)"),
        ("train/class_labels.txt", "002.Owl/a.jpg,1", r"no line for 2 images \('001.Ant/b.jpg', '001.Ant/a b.jpg'\)"),
        (
            "test/class_labels.txt",
            "001.Ant/c.jpg,0\nx.jpg,1",
            r"class_labels.txt: found a line for 1 images \('x.jpg'\)",
        ),
        ("test/class_labels.txt", "001.Ant/c.jpg,0\n" * 2, r"class_labels.txt: found 1 images more than once"),
        ("test/class_labels.txt", "001.Ant/c.jpg,0.5", r"\('001.Ant/c.jpg,0.5'\), expected IMAGE_ID,LABEL in whole"),
        ("test/class_labels.txt", "001.Ant/c.jpg,-1", r"\('001.Ant/c.jpg,-1'\), expected IMAGE_ID,LABEL in whole"),
        ("test/class_labels.txt", "001.Ant/c.jpg,7", r"test images of 1 classes without training images \(7\)"),
        ("test/image_sizes.txt", "001.Ant/c.jpg,30", r"another form \('001.Ant/c.jpg,30'\), expected IMAGE_ID,WIDTH,H"),
        ("test/image_sizes.txt", "001.Ant/c.jpg,0,9", r"found 1 images without a pixel \(001.Ant/c.jpg\)"),
        ("test/image_sizes.txt", "x.jpg,9,9", r"image_sizes.txt: found no line for 1 images \('001.Ant/c.jpg'\)"),
        ("test/localization.txt", "001.Ant/c.jpg,1,2,3", r"expected IMAGE_ID,X0,Y0,X1,Y1 in whole numbers"),
        ("test/image_ids.txt", "001.Ant/c.jpg ", r"class_labels.txt: found no line for 1 images \('001.Ant/c.jpg '\)"),
        ("test/localization.txt", "x.jpg,1,2,3,4", r"localization.txt: found no line for 1 images"),
        ("test/image_ids.txt", "001.Ant/b.jpg", r"class_labels.txt: found no line for 1 images \('001.Ant/b.jpg'\)"),
    ],
)
def test_refusals(root: Path, name: str, text: str | None, complaint: str) -> None:
    if text is None:
        (root / name).unlink()
    else:
        write(root / name, text)
    with pytest.raises(UserError, match=complaint):
        list_images("wsol", str(root))


def test_an_image_of_both_splits_is_an_error(root: Path) -> None:
    for name in FILES:
        path = root / name
        path.write_text(path.read_text().replace("c.jpg", "b.jpg"))
    with pytest.raises(UserError, match=r"found 1 images more than once \(001.Ant/b.jpg\)"):
        list_images("wsol", str(root))


@pytest.mark.parametrize("split", ["train", "test"])
def test_official_cub_is_written_again_byte_for_byte(shared: Path, tmp_path: Path, split: str) -> None:
    official = metadata(shared, "CUB")
    catalog = list_images("wsol", official)
    assert len(catalog) == 11_788
    assert len(set(catalog["class_name"].to_pylist())) == 200
    images = catalog.filter(pc.field("split") == split)
    corners_N4 = np.array([boxes[0] for boxes in images["gt_boxes"].to_pylist()])
    wsol.write(tmp_path / "out", catalog, pa.table({"image_id": images["image_id"], **box_columns(corners_N4)}))
    for path in sorted(Path(official, split).iterdir()):
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_official_imagenet_scores_the_published_baseline(shared: Path) -> None:
    catalog = list_images("wsol", metadata(shared, "ILSVRC"))
    assert len(catalog) == 50_000
    assert catalog["class_name"].to_pylist()[0] == "065"
    assert sum(map(len, catalog["gt_boxes"].to_pylist())) == 80_477
    assert whole_image_score(catalog) == pytest.approx(0.4034, abs=5e-5)
