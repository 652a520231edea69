"""Which layout a folder has is seen by its names; what fits none, or several, is told with what to do."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3 import Store, put_folder, requests

from psol_ray.catalog.layouts import LAYOUTS, list_data, recognise_layout
from psol_ray.errors import UserError

from .trees import touch, write

CAT = "train/cat/1.jpg"

TREES = {
    "folder": [CAT, "val/cat/2.jpg", "boxes.csv", "preview.png", "old/a.jpg", "train.tar", "labels.txt"],
    "classes": ["cat/1.JPG", "dog/2.png", "notes/a.txt", "boxes.csv", "meta.parquet"],
    "one_class": ["1.jpg", "2.jpg", "notes.txt", ".hidden/3.jpg", "@eaDir/4.jpg"],
    "imagenet": ["ILSVRC/Data/CLS-LOC/train/n01440764/1.JPEG", "LOC_val_solution.csv"],
    "cub": ["images.txt", "train_test_split.txt", "images/001.Owl/1.jpg"],
    "wsol": ["train/image_ids.txt", "test/image_ids.txt"],
    "list": ["images.csv", "photos/1.jpg"],
    "coco": ["annotations/instances_train2017.json", "annotations/captions_train2017.json", "train2017/1.jpg"],
    "yolo": ["data.yaml", "images/train/1.jpg", "labels/train/1.txt"],
    "voc": ["Annotations/1.xml", "JPEGImages/1.jpg", "ImageSets/Main/train.txt"],
    "webdataset": ["train-00000.tar", "val-00000.tar"],
    "parquet": ["data/train-00000-of-00002.parquet", "README.md"],
}
OTHERS = [
    ("imagenet", ["train/n01440764/1.JPEG", "train/n01443537/1.JPEG", "val/1.JPEG"]),
    ("imagenet", ["Data/CLS-LOC/train/n01440764/1.JPEG"]),
    ("folder", ["train/n01440764/1.JPEG", "val/n01440764/2.JPEG", "boxes.csv"]),
    ("folder", ["Training/cat/1.jpg", "labels.json"]),
    ("coco", ["train/_annotations.coco.json", "train/1.jpg", "valid/_annotations.coco.json", "valid/2.jpg"]),
    ("coco", ["labels.json", "data/1.jpg"]),
    ("coco", ["annotations/all.json", "images/1.jpg"]),
    ("coco", ["result.json", "images/1.jpg"]),
    ("yolo", ["data.yaml", "train/images/1.jpg", "train/labels/1.txt", "valid/images/2.jpg", "valid/labels/2.txt"]),
    ("yolo", ["classes.txt", "images/1.jpg", "labels/1.txt"]),
    ("yolo", ["images/train2017/1.jpg", "labels/train2017/1.txt"]),
    ("voc", ["annotations/1.xml", "images/1.png"]),
    ("voc", ["train/1.jpg", "train/1.xml"]),
    ("webdataset", ["psol.parquet", "a.tar"]),
    ("webdataset", ["photos.tar"]),
    ("parquet", ["photos.parquet"]),
]


def test_every_layout_is_recognised() -> None:
    assert TREES.keys() == LAYOUTS.keys()


@pytest.mark.parametrize(("layout", "names"), [*TREES.items(), *OTHERS])
def test_a_tree_is_recognised_by_its_names(tmp_path: Path, layout: str, names: list[str]) -> None:
    touch(tmp_path, *names)
    found, seen = recognise_layout(str(tmp_path))
    assert found == layout
    # What was seen is there to be seen.
    first = seen.partition(", ")[0].partition("*")[0].partition(" and ")[0]
    assert (tmp_path / first).exists()


def test_a_list_in_parquet_is_none_of_images(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": ["1.jpg"]}), tmp_path / "images.parquet")
    assert recognise_layout(str(tmp_path)) == ("list", "images.parquet")
    pq.write_table(pa.table({"image": [b"x"], "label": [0]}), tmp_path / "images.parquet")
    touch(tmp_path, "1.jpg")
    assert recognise_layout(str(tmp_path))[0] == "one_class"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["1.jpg", "cat/2.jpg"], "classes (cat/) and one_class (1.jpg), expected one layout; choose by --data.layout"),
        (
            [CAT, "images.csv"],
            "list (images.csv) and folder (train/), expected one layout; choose by --data.layout list",
        ),
        (
            ["images/train/1.jpg", "labels/train/1.txt", "annotations/instances_train.json"],
            "coco (annotations/instances_train.json) and yolo (images/train/, labels/train/), expected one layout",
        ),
        ([CAT, "Annotations/1.xml", "JPEGImages/1.jpg"], "voc (Annotations/*.xml, JPEGImages/) and folder (train/)"),
        ([CAT, "train-00000.tar"], "folder (train/) and webdataset (train-00000.tar)"),
    ],
)
def test_what_may_be_several_is_refused(tmp_path: Path, names: list[str], told: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}: found what may be {told}")):
        recognise_layout(str(tmp_path))


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (
            ["train/1.jpg", "train/2.jpg"],
            "found 2 images (1.jpg, 2.jpg) in train and no folders of classes there: sort",
        ),
        (["mine/cat/1.jpg", "mine/dog/1.jpg"], "there are folders with images in mine: set data.root to {root}/mine"),
        (["sets/train/cat/1.jpg"], "there is one in sets: set data.root to {root}/sets"),
        (["a.zip"], "found 1 archives (a.zip): unpack them"),
        (["notes/a.txt", "b.doc"], "found the folders notes, 1 with other suffixes (.doc); set data.root to"),
        ([".hidden"], "found 1 hidden; set data.root to"),
    ],
)
def test_what_fits_none_is_told_with_what_was_seen_and_what_would(
    tmp_path: Path, names: list[str], advice: str
) -> None:
    touch(tmp_path, *names)
    with pytest.raises(UserError) as caught:
        recognise_layout(str(tmp_path))
    told = str(caught.value)
    assert told.startswith(f"{tmp_path}: found no layout of images that can be read; {advice.format(root=tmp_path)}")
    assert "Expected train/CLASS/1.jpg and val/CLASS/2.jpg, or CLASS/1.jpg, or images.csv with a column path" in told


@pytest.mark.parametrize("name", ["gone", "images.csv"])
def test_a_root_that_is_no_folder(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "images.csv")
    hint = "; a list of images lies in their folder, as images.csv" if name == "images.csv" else ""
    with pytest.raises(UserError, match=rf"expected a folder of images; set it to the data set's{hint}$"):
        recognise_layout(str(tmp_path / name))


def test_metadata_are_wsolevaluations(tmp_path: Path) -> None:
    assert recognise_layout(str(tmp_path / "images"), str(tmp_path)) == ("wsol", "data.metadata")


def test_real_data_sets(shared: Path) -> None:
    data = shared / "data"
    assert recognise_layout(str(data / "CUB_200_2011")) == ("cub", "images.txt, train_test_split.txt")
    assert recognise_layout(str(data / "ILSVRC")) == ("imagenet", "Data/CLS-LOC/train/")
    assert recognise_layout(str(data / "wsolevaluation_metadata/ILSVRC"))[0] == "wsol"
    layout, seen = recognise_layout(str(data / "CUB_200_2011/images"))
    assert layout == "classes"
    assert seen.startswith("001.Black_footed_Albatross/, ")
    assert len(list_data(layout, str(data / "CUB_200_2011/images")).images) == 543


def test_a_store_is_asked_for_few_listings(store: Store, tmp_path: Path) -> None:
    for i in range(40):
        write(tmp_path / f"wide/class{i:02}/1.jpg", "x")
    put_folder(store.port, tmp_path / "wide", "bucket/wide")
    before = len(requests(store.failing))
    assert recognise_layout(store.uri("wide"))[0] == "classes"
    assert len(requests(store.failing)) - before <= 12
