"""FiftyOne's and Label Studio's files: what they hold, and what comes back from people."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psol_ray.errors import UserError
from psol_ray.formats import fiftyone, labelstudio
from psol_ray.formats.base import Origin
from psol_ray.formats.matching import read_boxes
from psol_ray.tables.boxes_table import boxes_table
from psol_ray.tables.schemas import boxes_array

from .synthetic import NAMES, catalog_of, make_boxes, make_catalog, table_of


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content))


class TestFiftyOne:
    def test_images_by_their_paths_and_what_was_measured(self, tmp_path: Path) -> None:
        catalog = catalog_of(("a.jpg", 2, "cat", 100, 50), ("b.jpg", 4, "dog", 40, 20))
        boxes_N4 = np.array([[10, 5, 60, 50], [0, 0, 40, 20.0]])
        table = boxes_table(
            catalog, boxes_N4, np.array(["ok", "no_foreground"]), area_fraction=np.array([0.25, np.nan])
        )
        fiftyone.write(tmp_path / "out", catalog, table, Origin(data_root=str(tmp_path)))
        found = json.loads((tmp_path / "out/labels.json").read_text())
        assert found["classes"] == ["cat", "dog"]
        attributes: list[dict[str, Any]] = [{"status": "ok", "area_fraction": 0.25}, {"status": "no_foreground"}]
        assert found["labels"] == {
            f"{tmp_path}/a.jpg": [
                {"label": "cat", "bounding_box": [0.1, 0.1, 0.5, 0.9], "confidence": 1, "attributes": attributes[0]}
            ],
            f"{tmp_path}/b.jpg": [
                {"label": "dog", "bounding_box": [0, 0, 1, 1], "confidence": 0, "attributes": attributes[1]}
            ],
        }

    def test_labels_of_others(self, tmp_path: Path) -> None:
        boxes = [{"label": 0, "bounding_box": [0, 0, 0.5, 1], "confidence": c} for c in (0.25, 0.5)]
        boxes[0]["bounding_box"] = [0, 0, 1, 1]
        write(tmp_path, "mine.json", {"labels": {"/x/n01/a.jpg": boxes, "n02/a.jpg": []}, "classes": ["a"]})
        table = read_boxes("fiftyone", str(tmp_path / "mine.json"), make_catalog())
        assert boxes_array(table).tolist() == [[0, 0, 250, 375], [0, 0, 333, 500]]
        assert table["status"].to_pylist() == ["ok", "no_foreground"]

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ({"labels": {}}, "labels.json: found no images, expected a box for each of 4"),
            ({"labels": {"n01/a.jpg": [{"bounding_box": [0, 1]}]}}, "1 image (n01/a.jpg) with a box that is not four"),
            ({"labels": {"n01/a.jpg": 7}}, "1 image (n01/a.jpg) with a box that is not four numbers; export it again"),
            ({"labels": {"n01/z.jpg": []}}, "1 image (n01/z.jpg) not in the catalog"),
            ({"labels": {"n01/a.jpg": [{"bounding_box": [0, 0, 1, 1]}] * 2}}, "a.jpg) with more than one box"),
        ],
    )
    def test_what_cannot_be_imported(self, tmp_path: Path, content: object, complaint: str) -> None:
        write(tmp_path, "labels.json", content)
        with pytest.raises(UserError, match=re.escape(complaint)):
            read_boxes("fiftyone", str(tmp_path), make_catalog())


def region(*value: float, kind: str = "rectanglelabels") -> dict[str, Any]:
    return {"type": kind, "value": dict(zip(("x", "y", "width", "height"), value, strict=True))}


class TestLabelStudio:
    def test_a_task_and_the_configuration_that_it_fits(self, tmp_path: Path) -> None:
        catalog = catalog_of(("n 1/a.jpg", 0, 'c<a>"t', 100, 50))
        table = table_of(**{"n 1/a": [10.0, 5.0, 60.0, 50.0]})
        labelstudio.write(tmp_path / "out", catalog, table, Origin("predicted boxes", data_root="/data"))
        (task,) = json.loads((tmp_path / "out/tasks-00000.json").read_text())
        assert task["data"] == {"image": "/data/local-files/?d=n%201/a.jpg", "image_id": "n 1/a.jpg"}
        (prediction,) = task["predictions"]
        assert (prediction["model_version"], prediction["score"]) == ("predicted boxes", 1)
        (found,) = prediction["result"]
        assert (found["original_width"], found["original_height"]) == (100, 50)
        assert found["value"] == {
            "x": 10, "y": 10, "width": 50, "height": 90, "rotation": 0, "rectanglelabels": ['c<a>"t']
        }  # fmt: skip
        config = ET.parse(tmp_path / "out/label_config.xml").getroot()
        names = {tag: config.find(tag).get("name") for tag in ("Image", "RectangleLabels")}  # type: ignore[union-attr]
        assert names == {"Image": found["to_name"], "RectangleLabels": found["from_name"]}
        assert [label.get("value") for label in config.iter("Label")] == ['c<a>"t']

    def test_images_in_a_store_go_by_their_addresses(self, tmp_path: Path) -> None:
        catalog = catalog_of(("n1/a.jpg", 0, "cat", 100, 50))
        table = table_of(**{"n1/a": [10.0, 5.0, 60.0, 50.0]})
        labelstudio.write(tmp_path / "out", catalog, table, Origin(data_root="s3://bucket/x/"))
        (task,) = json.loads((tmp_path / "out/tasks-00000.json").read_text())
        assert task["data"]["image"] == "s3://bucket/x/n1/a.jpg"

    def test_tasks_are_cut_into_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(labelstudio, "_TASKS_A_FILE", 3)
        labelstudio.write(tmp_path / "out", make_catalog(), make_boxes(make_catalog()))
        counts = [len(json.loads(path.read_text())) for path in sorted((tmp_path / "out").glob("tasks-*.json"))]
        assert counts == [3, 1]
        assert read_boxes("labelstudio", str(tmp_path / "out"), make_catalog())["image_id"].to_pylist() == NAMES

    def test_what_people_have_drawn_counts_more_than_predictions(self, tmp_path: Path) -> None:
        predicted = [{"score": 0.5, "result": [region(0, 0, 100, 100)]}]
        drawn = [{"result": [region(0, 0, 50, 100), region(1, 1, 1, 1, kind="ellipse")]}]
        cancelled = {"was_cancelled": True, "result": [region(0, 0, 1, 1)]}
        tasks = [
            {"data": {"image": "/data/local-files/?id=5&d=train/n01/a.jpg"}, "annotations": [*drawn, cancelled]},
            {
                "data": {"image": "https://x/train/n02/a.jpg?AWSAccessKeyId=5"},
                "annotations": [],
                "predictions": predicted,
            },
            {"data": {"image": "s3://x/test/n01/b.jpg"}, "annotations": [{"result": []}], "predictions": predicted},
            {"data": {"image_id": "test/n02/c 1.jpg", "image": "?"}, "predictions": predicted},
        ]
        tasks[0]["predictions"] = predicted
        write(tmp_path, "project-1.json", tasks)
        table = read_boxes("labelstudio", str(tmp_path), make_catalog())
        assert boxes_array(table).tolist() == [[0, 0, 250, 375], [0, 0, 333, 500], [0, 0, 224, 224], [0, 0, 77, 1000]]
        assert table["status"].to_pylist() == ["ok", "ok", "no_foreground", "ok"]

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ({}, "boxes.imported.path: found no tasks in"),
            ([{"data": {}}], "a.json: found a task without an image, expected data with image or image_id"),
            (["text"], "a.json: found a task without an image"),
            (
                [{"data": {"image_id": "n01/a.jpg"}, "predictions": [{"result": [{"type": "rectanglelabels"}]}]}],
                "1 image (n01/a.jpg) with a box that is not four numbers",
            ),
        ],
    )
    def test_what_cannot_be_imported(self, tmp_path: Path, content: object, complaint: str) -> None:
        write(tmp_path, "a.json", content)
        with pytest.raises(UserError, match=re.escape(complaint)):
            read_boxes("labelstudio", str(tmp_path), make_catalog())
