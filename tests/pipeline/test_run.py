"""`psol run` from images to the page."""

import json

import pyarrow.parquet as pq
import pytest

from psol_ray.cli.parse import parse
from psol_ray.pipeline.context import Context
from psol_ray.tables import BOXES, CATALOG, PREDICTIONS, RunDir

from .conftest import Run


def test_leaves_every_table_and_a_page(whole: Run) -> None:
    stages = RunDir(str(whole.run_dir)).stage
    catalog = stages("catalog").read(CATALOG)
    assert len(catalog) == 18
    assert sorted(stages("boxes").read(BOXES).column("image_id").to_pylist()) == sorted(
        catalog.column("image_id").to_pylist()
    )
    assert len(stages("predictions").read(PREDICTIONS)) == 6
    assert "<html" in (whole.run_dir / "report" / "index.html").read_text()
    metrics = json.loads((whole.run_dir / "metrics.json").read_text())
    assert metrics["images"] == {"train": 12, "test": 6, "unreadable": 2, "without_truth": 0, "outside_crop": 0}
    assert metrics["classification"]["top5"] == pytest.approx(5 / 6)  # two classes, and one image unreadable


@pytest.mark.parametrize(("model", "epochs"), [("localizer", 2), ("classifier", 1)])
def test_training_leaves_a_line_an_epoch(whole: Run, model: str, epochs: int) -> None:
    rows = [json.loads(line) for line in (whole.run_dir / model / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, epochs + 1))


def test_an_unreadable_file_costs_itself(whole: Run) -> None:
    boxes = RunDir(str(whole.run_dir)).stage("boxes").read(BOXES)
    status = dict(zip(boxes.column("image_id").to_pylist(), boxes.column("status").to_pylist(), strict=True))
    unreadable = {"train/red/1.jpg", "val/blue/2.jpg"}
    assert {image for image, found in status.items() if found == "unreadable"} == unreadable
    assert json.loads((whole.run_dir / "boxes" / "_SUCCESS").read_text())["summary"]["unreadable"] == 2
    assert json.loads((whole.run_dir / "localizer" / "_SUCCESS").read_text())["summary"]["left_out"] == 1
    predictions = RunDir(str(whole.run_dir)).stage("predictions").read(PREDICTIONS).to_pylist()
    assert [row["image_id"] for row in predictions if not row["top_labels"]] == ["val/blue/2.jpg"]
    assert all(len(row["top_labels"]) == 2 for row in predictions if row["image_id"] != "val/blue/2.jpg")


def test_every_part_says_what_made_it(whole: Run) -> None:
    for path in whole.run_dir.glob("*/part-*.parquet"):
        made_by = json.loads(pq.read_schema(path).metadata[b"psol_ray"])
        claimed = json.loads((path.parent / "_STARTED").read_text())
        assert made_by["fingerprint"] == claimed["fingerprint"]


def test_a_second_run_makes_nothing(
    copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {
        path: path.stat().st_mtime_ns
        for path in copy.run_dir.glob("*/*")
        if path.parent.name not in ("report", "scores")
    }
    monkeypatch.setattr(Context, "executor", property(lambda _: pytest.fail("wanted to run something")))
    assert copy.psol("run") == 0
    told = capsys.readouterr().out
    assert told.count("complete already") == 5
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_config_of_a_run_can_be_read_back(whole: Run) -> None:
    written = whole.run_dir / "config.yaml"
    given = parse(["run", "--config", str(whole.config), "--data.layout", "folder"])  # as was recognised
    assert parse(["run", "--config", str(written)]).config == given.config
