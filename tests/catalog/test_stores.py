"""Each layout in an object store is listed as on a disk."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from s3 import Store, guarded, put_folder, uri
from synthetic.images import write_images

from psol_ray.catalog.headers import AWAY, read_sizes
from psol_ray.catalog.layouts import list_data, recognise_layout
from psol_ray.catalog.source import find_other_samples, look_at
from psol_ray.errors import UserError

from .annotated import Sample, samples_of, write_coco, write_list, write_voc, write_yolo
from .test_cub import FILES
from .trees import solution_csv, voc_xml, write

DOG = "n02102040"


def _cub(root: Path) -> None:
    for name, text in FILES.items():
        write(root / name, text)
    for image in ("002.Owl/a.jpg", "001.Ant/b.jpg", "001.Ant/c d.jpg"):
        write(root / "images" / image, "x")


def _folder(root: Path) -> None:
    write_images(root, ["red", "blue"], train=2, val=1)
    write(root / "train/red/deeper/é.jpg", "x")
    write(root / "train/red/notes.txt", "x")


def _imagenet(root: Path) -> None:
    base = root / "ILSVRC"
    write(base / f"Data/CLS-LOC/train/{DOG}/{DOG}_1.JPEG", "x")
    write(base / "Data/CLS-LOC/val/V_1.JPEG", "x")
    write(base / "Annotations/CLS-LOC/val/V_1.xml", voc_xml(DOG, (1, 2, 3, 4)))
    write(root / "LOC_train_solution.csv", solution_csv([(f"{DOG}_1", f"{DOG} 1 2 3 4")]))


def _classes(root: Path) -> None:
    for name in ("red/1.jpg", "red/deeper/é.JPG", "blue/2.png", "notes/a.txt"):
        write(root / name, "x")


def _annotated(write_it: Callable[[Path, list[Sample]], Path], root: Path) -> None:
    made = root.with_name(f"{root.name} made")
    write_it(root, samples_of("folder", write_images(made, ["red", "blue"], train=2, val=1)))


ANNOTATED = {"coco": write_coco, "yolo": write_yolo, "voc": write_voc, "list": write_list}


def _wsol(root: Path) -> None:
    for split in ("train", "test"):
        write(root / split / "image_ids.txt", f"cat/{split}.jpg\n")
        write(root / split / "class_labels.txt", f"cat/{split}.jpg,0\n")
        write(root / split / "localization.txt", f"cat/{split}.jpg,1,2,3,4\n")
        write(root / f"cat/{split}.jpg", "x")


@pytest.mark.parametrize(
    ("layout", "make"),
    [
        ("cub", _cub),
        ("folder", _folder),
        ("imagenet", _imagenet),
        ("wsol", _wsol),
        ("classes", _classes),
        *((layout, partial(_annotated, write_it)) for layout, write_it in ANNOTATED.items()),
    ],
)
def test_a_layout_is_listed_as_on_a_disk(
    tmp_path: Path, store: Store, layout: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path)
    put_folder(store.port, tmp_path, f"bucket/{layout}")
    assert recognise_layout(store.uri(layout)) == recognise_layout(str(tmp_path))
    there, here = list_data(layout, store.uri(layout)), list_data(layout, str(tmp_path))
    assert there.images.equals(here.images)
    assert (there.passed_over, there.remarks) == (here.passed_over, here.remarks)
    assert [Path(path).name for path in map(str, there.annotations)] == [path.name for path in here.annotations]
    # Sizes are told with the names, without a request for each.
    source = look_at(str(tmp_path), str(tmp_path), here)
    assert there.files is not None
    assert there.files["bytes"].to_pylist() == source.files["bytes"].to_pylist()


def test_sizes_are_read_from_the_beginnings_of_images(tmp_path: Path, store: Store) -> None:
    write_images(tmp_path, ["red"], train=3, val=0)
    write(tmp_path / "train/red/bad.jpg", "no image")
    put_folder(store.port, tmp_path, "bucket/sizes")
    image_ids = [f"train/red/{name}.jpg" for name in ("0", "1", "2", "bad")]
    there = read_sizes(store.uri("sizes"), [*image_ids, "train/red/gone.jpg"])
    assert there[:4].tolist() == read_sizes(str(tmp_path), image_ids).tolist()
    assert tuple(there[4]) == AWAY


def test_images_that_were_replaced_are_found_out(tmp_path: Path, store: Store) -> None:
    write_images(tmp_path, ["red"], train=3, val=1)
    put_folder(store.port, tmp_path, "bucket/samples")
    root = store.uri("samples")
    source = look_at(root, root, list_data("folder", root))
    assert find_other_samples(root, source.details) == []
    store.put("samples/train/red/1.jpg", b"another")
    assert find_other_samples(root, source.details) == ["train/red/1.jpg"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing", r"data.root 's3://bucket/nothing\?.*' does not exist, expected a folder of images in that store"),
        ("../nobucket/x", r"data.root 's3://.*' (does not exist|cannot be read)"),
    ],
)
def test_what_is_not_there_is_told(store: Store, path: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list_data("folder", store.uri(path))


def test_data_that_may_not_be_read_are_told_at_once(store: Store) -> None:
    store.put("closed/train/cat/1.jpg", b"1")
    with guarded(store.port, store.failing, "s3:PutObject") as credentials:
        root = uri(store.port, "bucket/closed", credentials)
        with pytest.raises(
            UserError, match=r"cannot be read \(.*ACCESS_DENIED.*check the address, the endpoint"
        ) as raised:
            list_data("folder", root)
    assert credentials.partition(":")[2] not in str(raised.value)
