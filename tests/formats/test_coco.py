"""COCO's annotations and results, of ours and of others."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psol_ray.errors import UserError
from psol_ray.formats import coco
from psol_ray.formats.base import Origin
from psol_ray.formats.matching import read_boxes
from psol_ray.tables.schemas import boxes_array

from .synthetic import NAMES, make_boxes, make_catalog

TRAIN = [{"id": 7, "file_name": "n01/a.jpg"}, {"id": 3, "file_name": "/mnt/train/n02/a.jpg"}]
BOXES = [
    {"id": 1, "image_id": 3, "category_id": 5, "bbox": [10, 20, 30, 40.5]},
    {"id": 2, "image_id": 7, "category_id": 5, "bbox": [1, 2, 3, 4]},
]
CATEGORIES = [{"id": 5, "name": "thing"}]


def write(folder: Path, name: str, content: object) -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder / name


def instances(images: Any = TRAIN, annotations: Any = BOXES, categories: Any = CATEGORIES) -> dict[str, Any]:
    return {"annotations": annotations, "categories": categories, "images": images}


def test_files_say_what_they_are_of(tmp_path: Path) -> None:
    catalog = make_catalog()
    coco.write(tmp_path / "out", catalog, make_boxes(catalog), Origin("pseudo boxes (DDT)", "0123", "1.2"))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"{kind}_{split}.json" for kind in ("detections", "instances") for split in ("train", "val")]
    found = json.loads((tmp_path / "out/instances_val.json").read_text())
    assert found["info"] == {"description": "pseudo boxes (DDT)", "version": "0123", "contributor": "psol_ray 1.2"}
    assert found["categories"] == [{"id": 1, "name": "n01"}, {"id": 2, "name": "n02"}]
    assert [image["id"] for image in found["images"]] == [3, 4]  # rows of the catalog
    assert [image["file_name"] for image in found["images"]] == NAMES[2:]
    first = found["annotations"][0]
    assert first == {
        "id": 3, "image_id": 3, "category_id": 1, "bbox": [0, 0, 224, 224], "area": 50176, "iscrowd": 0
    }  # fmt: skip


def test_annotations_of_others(tmp_path: Path) -> None:
    write(tmp_path, "train.json", instances())
    table = read_boxes("coco", str(tmp_path), make_catalog())
    assert boxes_array(table).tolist() == [[1, 2, 4, 6], [10, 20, 40, 60.5]]


def test_a_crowd_is_no_object_and_an_image_without_one_has_none(tmp_path: Path) -> None:
    write(tmp_path, "train.json", instances(annotations=[{**BOXES[0], "iscrowd": 1}, BOXES[1]]))
    table = read_boxes("coco", str(tmp_path), make_catalog())
    assert table["status"].to_pylist() == ["ok", "no_foreground"]
    assert boxes_array(table)[1].tolist() == [0, 0, 333, 500]


RESULTS = [{**box, "score": score} for box, score in zip([BOXES[0], *BOXES], [0.5, 0.25, 0.125], strict=True)]
RESULTS[0]["bbox"] = [0, 0, 9, 9]


def test_of_an_images_results_the_surest_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "images.json", instances(annotations=[]))
    write(tmp_path, "results.json", RESULTS)
    table = read_boxes("coco", str(tmp_path), make_catalog())
    assert boxes_array(table).tolist() == [[1, 2, 4, 6], [0, 0, 9, 9]]
    assert "of several boxes of an image that with the highest score is taken; others: 1" in capsys.readouterr().err


def test_results_beside_annotations_are_taken_where_they_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "train.json", instances())
    path = write(tmp_path, "results.json", RESULTS)
    assert boxes_array(read_boxes("coco", str(tmp_path), make_catalog()))[1].tolist() == [10, 20, 40, 60.5]
    assert "results are left alone beside annotations (results.json)" in capsys.readouterr().err
    assert boxes_array(read_boxes("coco", str(path), make_catalog()))[1].tolist() == [0, 0, 9, 9]


def test_results_may_number_images_by_their_names(tmp_path: Path) -> None:
    boxes = [{"image_id": name, "bbox": [1, 2, 3, 4], "score": 1} for name in NAMES[:2]]
    write(tmp_path, "results.json", boxes)
    assert boxes_array(read_boxes("coco", str(tmp_path), make_catalog())).tolist() == [[1, 2, 4, 6]] * 2


def test_our_own_results_are_the_same_boxes(tmp_path: Path) -> None:
    catalog = make_catalog()
    coco.write(tmp_path / "out", catalog, make_boxes(catalog))
    table = read_boxes("coco", str(tmp_path / "out/detections_train.json"), catalog)
    np.testing.assert_array_equal(boxes_array(table), boxes_array(make_boxes(catalog))[:2])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (instances(images=[]), "found no images, expected a list of them with id and file_name; export it again"),
        ({"info": {}}, "found 0 images and no box, expected annotations"),
        (instances(annotations=[]), "found 2 images and no box, expected annotations"),
        ({"images": [{"id": 1}]}, "found an image {'id': 1}, expected one with id and file_name"),
        (instances(images=[*TRAIN, TRAIN[0]]), "found two images of the id 7 (n01/a.jpg, n01/a.jpg), expected each id"),
        (instances(images=[{"id": 7, "file_name": "z.jpg"}]), "1 image (3) by number, that are not in its list"),
        (
            instances(images=[*TRAIN, {"id": 8, "file_name": "n01/z.jpg"}]),
            "1 image (n01/z.jpg) not in the catalog; import boxes of its images alone",
        ),
        (instances(categories=[{"id": 6}]), "(/mnt/train/n02/a.jpg, n01/a.jpg) with a class that is in no category"),
        (
            instances(annotations=[{**BOXES[0], "bbox": [1, 2, 3]}]),
            "1 image (3) by number, with a box that is not",
        ),
        (instances(annotations=[*BOXES, BOXES[0]]), "1 image (train/n02/a.jpg) with more than one box; leave one"),
        (
            instances(annotations=[BOXES[0], {**BOXES[1], "bbox": [1, 2, -3, 4]}]),
            "1 image (train/n01/a.jpg) with a box that is inside out",
        ),
        (
            instances(annotations=[BOXES[0], {**BOXES[1], "bbox": [490, 2, 30, 4]}]),
            "1 image (train/n01/a.jpg) with a box that reaches outside",
        ),
        ([{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 1}], "found no images, expected a list of them"),
        ("text", "found no COCO JSON in"),
    ],
)
def test_what_cannot_be_imported_is_told_in_one_sentence(tmp_path: Path, content: object, complaint: str) -> None:
    write(tmp_path, "train.json", content)
    with pytest.raises(UserError, match=re.escape(complaint)) as refusal:
        read_boxes("coco", str(tmp_path), make_catalog())
    assert "\n" not in str(refusal.value)


def test_files_that_number_images_differently_are_refused_beside_results(tmp_path: Path) -> None:
    write(tmp_path, "a.json", instances(annotations=[]))
    write(tmp_path, "b.json", instances(images=[{"id": 7, "file_name": "other.jpg"}], annotations=[]))
    write(tmp_path, "results.json", RESULTS)
    with pytest.raises(UserError, match=r"b.json: found other.jpg as image 7, which is n01/a.jpg in another file"):
        read_boxes("coco", str(tmp_path), make_catalog())


def test_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"boxes.imported.path: found no COCO JSON in"):
        read_boxes("coco", str(tmp_path), make_catalog())
    with pytest.raises(UserError, match=r"found no folder or file 'gone.json' on this machine"):
        read_boxes("coco", "gone.json", make_catalog())
