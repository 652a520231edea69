"""What is exported is read by the tools that it is for: pycocotools, supervision and torchvision's data sets."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import supervision
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.datasets import CocoDetection, VOCDetection

from psol_ray.formats import coco, voc, yolo
from psol_ray.formats.base import Origin
from psol_ray.geometry.boxes import iou
from psol_ray.tables.boxes_table import boxes_table
from psol_ray.tables.schemas import CATALOG, PREDICTIONS, boxes_array

IMAGES = ["train/cat/a.jpg", "train/cat/a.png", "train/<dog>/a b.JPEG", "val/cat/é.jpg", "val/<dog>/b.jpg"]
BOXES_54 = np.array([[0, 0, 30, 20], [1.5, 2, 20.25, 19], [5, 5, 6, 18], [0.1, 3, 30, 7], [10, 1, 30.7, 20]])
NAMES = ["<dog>", "cat"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images."""
    folder = tmp_path_factory.mktemp("data") / "images"
    for name in IMAGES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (31, 20)).save(folder / name, "PNG" if name.endswith("png") else "JPEG")
    return folder


def make_catalog() -> pa.Table:
    rows = [
        {"image_id": name, "split": "train" if name.startswith("train") else "test", "width": 31, "height": 20}
        | {"class_name": name.split("/")[1], "label": NAMES.index(name.split("/")[1]), "gt_boxes": []}
        for name in IMAGES
    ]
    return pa.Table.from_pylist(rows, schema=CATALOG)


def make_boxes() -> pa.Table:
    return boxes_table(make_catalog(), BOXES_54, np.array(["ok", "ok", "ok", "no_foreground", "ok"]))


@pytest.fixture(scope="module")
def folders(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same boxes in each format."""
    out = tmp_path_factory.mktemp("exported")
    for name, module in {"coco": coco, "voc": voc, "yolo": yolo}.items():
        module.write(out / name, make_catalog(), make_boxes(), Origin("pseudo boxes (DDT)", data_root=str(root)))
    return {path.name: path for path in out.iterdir()}


def test_pycocotools_scores_detections_of_the_same_boxes_as_perfect(folders: dict[str, Path]) -> None:
    truth = COCO(str(folders["coco"] / "instances_train.json"))
    assert [image["file_name"] for image in truth.loadImgs(truth.getImgIds())] == IMAGES[:3]
    assert [category["name"] for category in truth.loadCats(truth.getCatIds())] == NAMES
    assert truth.dataset["info"]["description"] == "pseudo boxes (DDT)"
    evaluation = COCOeval(truth, truth.loadRes(str(folders["coco"] / "detections_train.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 1


def test_pycocotools_sees_whose_box_is_another(folders: dict[str, Path], tmp_path: Path) -> None:
    """Of two predictions the surer one is of the wrong class."""
    columns = {
        "image_id": pa.array(IMAGES[3:]),
        **{f"{c}{i}": BOXES_54[3:, 2 * i + j] for i in (0, 1) for j, c in enumerate("xy")},
    }
    columns |= {"top_labels": pa.array([[0, 1], [0, 1]]), "top_probs": pa.array([[0.75, 0.25], [0.5, 0.5]])}
    coco.write(tmp_path / "out", make_catalog(), pa.table(columns).select(PREDICTIONS.names).cast(PREDICTIONS))
    truth = COCO(str(folders["coco"] / "instances_val.json"))
    found = truth.loadRes(str(tmp_path / "out/detections_val.json"))
    assert [(box["category_id"], box["score"]) for box in found.loadAnns(found.getAnnIds())] == [(1, 0.75), (1, 0.5)]
    evaluation = COCOeval(truth, found, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    # The one true box of <dog> is the second of two, and that of cat is not found.
    assert evaluation.stats[0] == pytest.approx(0.25, abs=0.01)


def test_torchvision_reads_coco(folders: dict[str, Path], root: Path) -> None:
    data = CocoDetection(str(root), str(folders["coco"] / "instances_train.json"))
    assert len(data) == 3
    image, boxes = data[2]
    assert image.size == (31, 20)
    assert [(box["bbox"], box["area"], box["iscrowd"], box["category_id"]) for box in boxes] == [
        ([5, 5, 1, 13], 13, 0, 1)
    ]


def test_supervision_reads_coco(folders: dict[str, Path], root: Path) -> None:
    annotations = str(folders["coco"] / "instances_train.json")
    data = supervision.DetectionDataset.from_coco(str(root), annotations)
    assert data.classes == NAMES
    found = {Path(path).relative_to(root.resolve()).as_posix(): boxes for path, _, boxes in data}
    assert list(found) == IMAGES[:3]
    np.testing.assert_array_equal(
        np.concatenate([boxes.xyxy for boxes in found.values()]), BOXES_54[:3].astype(np.float32)
    )
    assert [int(boxes.class_id[0]) for boxes in found.values()] == [1, 1, 0]


def test_supervision_reads_yolo(folders: dict[str, Path]) -> None:
    out = folders["yolo"]
    data = supervision.DetectionDataset.from_yolo(
        str(out / "images/train/cat"), str(out / "labels/train/cat"), str(out / "data.yaml")
    )
    assert data.classes == NAMES
    # Two images of one stem are two.
    found = {Path(path).name: boxes for path, _, boxes in data}
    assert found.keys() == {"a.jpg.jpg", "a.png.png"}
    for name, box in {"a.jpg.jpg": BOXES_54[0], "a.png.png": BOXES_54[1]}.items():
        np.testing.assert_allclose(found[name].xyxy[0], box, atol=1e-5)
        assert found[name].class_id.tolist() == [1]


def test_supervision_reads_voc_in_whole_pixels(folders: dict[str, Path]) -> None:
    out = folders["voc"]
    data = supervision.DetectionDataset.from_pascal_voc(
        str(out / "JPEGImages/train/<dog>"), str(out / "Annotations/train/<dog>")
    )
    ((path, image, boxes),) = data
    assert (Path(path).name, image.shape, data.classes) == ("a b.jpg", (20, 31, 3), ["<dog>"])
    assert boxes.xyxy.tolist() == [[5, 5, 6, 18]]


def test_torchvision_reads_voc(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "VOCdevkit").mkdir()
    (tmp_path / "VOCdevkit/VOC2012").symlink_to(folders["voc"])
    train, val = (VOCDetection(str(tmp_path), image_set=split) for split in ("train", "val"))
    assert (len(train), len(val)) == (3, 2)
    image, target = train[1]
    assert (image.size, image.format) == ((31, 20), None)
    annotation = target["annotation"]
    assert (annotation["folder"], annotation["filename"]) == ("train/cat", "a.png")
    assert annotation["size"] == {"width": "31", "height": "20", "depth": "3"}
    (found,) = annotation["object"]
    assert found["name"] == "cat"
    # The first and the last pixel, counted from 1.
    assert found["bndbox"] == {"xmin": "3", "ymin": "3", "xmax": "20", "ymax": "19"}
    assert [val[i][1]["annotation"]["object"][0]["difficult"] for i in (0, 1)] == ["1", "0"]


def test_labels_are_where_trainers_look_for_them(folders: dict[str, Path]) -> None:
    """As ultralytics has it: the last `/images/` becomes `/labels/`, and the suffix `.txt`."""
    images = sorted(path for path in (folders["yolo"] / "images").rglob("*.*") if path.is_file())
    assert len(images) == len(IMAGES)
    labels = ["/labels/".join(str(path).rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt" for path in images]
    assert sorted(labels) == sorted(map(str, (folders["yolo"] / "labels").rglob("*.txt")))


def test_boxes_are_those_of_the_table(folders: dict[str, Path]) -> None:
    loaded = COCO(str(folders["coco"] / "instances_val.json"))
    boxes = [annotation["bbox"] for annotation in loaded.dataset["annotations"]]
    corners = np.array([[x, y, x + w, y + h] for x, y, w, h in boxes])
    assert iou(corners, boxes_array(make_boxes())[3:]).min() > 1 - 1e-6
    assert [annotation.get("attributes") for annotation in loaded.dataset["annotations"]] == [
        {"no_foreground": True},
        None,
    ]
