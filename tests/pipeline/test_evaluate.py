"""`psol evaluate` and `psol report` on tables made by hand: what they write, and what they load for it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from synthetic.run_dirs import write_stage
from synthetic.tables import box_row, boxes_of, catalog_of, image, prediction, predictions_of

from psol_ray.cli import main
from psol_ray.evaluation.stage import read_scores
from psol_ray.tables import RunDir
from psol_ray.tables.schemas import MAPS

HALF, WHOLE = (0, 0, 5, 10), (0, 0, 10, 10)
CATALOG = catalog_of(image("a.png", [HALF]), image("b.png", [WHOLE]), image("t.png", [WHOLE], split="train"))
BOXES = boxes_of(*(box_row(f"{name}.png", WHOLE) for name in "abt"))
PREDICTIONS = predictions_of(prediction("a.png", WHOLE), prediction("b.png", WHOLE))
INCEPTION = {"crop_share": 299 / 320, "localizer": {"backbone": "inception_v3"}, "classifiers": []}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run whose localizer is right once, and once at exactly a half."""
    for name in ("a", "b", "t"):
        Image.new("RGB", (10, 10)).save(tmp_path / f"{name}.png")
    run_dir = tmp_path / "run"
    write_stage(run_dir, CATALOG, "catalog")
    write_stage(run_dir, BOXES, "boxes", title="DDT")
    write_stage(run_dir, PREDICTIONS, "predictions", **INCEPTION)
    return run_dir


def psol(command: str, run_dir: Path, *flags: str) -> int:
    return main([command, "--run_dir", str(run_dir), "--data.root", str(run_dir.parent), *flags])


def metrics_of(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "metrics.json").read_text())


def test_scores_metrics_and_classes_are_written(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert psol("evaluate", run_dir) == 0
    assert metrics_of(run_dir)["localization"]["gt_known"] == 1.0
    scores = read_scores(RunDir(str(run_dir)))
    assert scores.column("image_id").to_pylist() == ["t.png", "a.png", "b.png"]
    assert scores.column("predicted_right").to_pylist() == [None, True, True]
    assert (run_dir / "per_class.csv").read_text().splitlines()[0].startswith('"class_name","label","images",')
    printed = capsys.readouterr().out
    assert "GT-Known" in printed
    assert "(DDT)" in printed


def test_another_protocol_replaces_the_scores_without_asking(run_dir: Path) -> None:
    assert psol("evaluate", run_dir) == 0
    assert psol("evaluate", run_dir, "--evaluate.iou_rule", "above", "--evaluate.coordinates", "crop") == 0
    metrics, scores = metrics_of(run_dir), read_scores(RunDir(str(run_dir)))
    assert (metrics["iou_rule"], metrics["crop_share"]) == ("above", 299 / 320)
    assert metrics["localization"]["gt_known"] == 0.5
    assert scores.column("predicted_right").to_pylist() == [None, False, True]
    assert scores.column("predicted_iou_original").to_pylist() == [None, 0.5, 1.0]


def test_the_paper_s_crop_is_that_of_its_network(run_dir: Path) -> None:
    def crops() -> tuple[float, float]:
        assert psol("evaluate", run_dir) == 0
        row = read_scores(RunDir(str(run_dir))).to_pylist()[1]
        return row["pseudo_iou_crop"], row["predicted_iou_crop"]

    off_centre = catalog_of(image("a.png", [(0, 0, 4, 10)]), *CATALOG.slice(1).to_pylist())
    write_stage(run_dir, off_centre, "catalog")

    def left_of(share: float) -> float:
        """How much of the crop is ground truth, which ends at 0.4 of the width."""
        return (0.4 - (1 - share) / 2) / share

    assert crops() == (pytest.approx(left_of(224 / 256)), pytest.approx(left_of(299 / 320)))
    write_stage(run_dir, PREDICTIONS, "predictions", **{**INCEPTION, "localizer": {"backbone": "resnet18"}})
    assert crops() == (pytest.approx(left_of(224 / 256)), pytest.approx(left_of(224 / 256)))


@pytest.mark.parametrize(
    ("details", "expected"), [({"title": "Grad-CAM"}, "Grad-CAM"), ({}, "unnamed generator")], ids=["named", "unnamed"]
)
def test_who_drew_the_boxes_is_read_from_what_made_them(run_dir: Path, details: dict[str, str], expected: str) -> None:
    write_stage(run_dir, BOXES, "boxes", {"other": True}, **details)
    assert psol("evaluate", run_dir) == 0
    assert metrics_of(run_dir)["teacher"] == expected


def test_a_run_without_pseudo_boxes_has_no_teacher(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (run_dir / "boxes").iterdir():
        path.unlink()
    assert psol("evaluate", run_dir) == 0
    assert metrics_of(run_dir)["teacher"] is None
    assert "Pseudo boxes" not in capsys.readouterr().out


def test_maps_are_swept_where_they_are_those_of_the_boxes(run_dir: Path) -> None:
    values = np.zeros((4, 4), np.float16)
    values[:, :2] = 1
    rows = [{"image_id": f"{name}.png", "height": 4, "width": 4, "values": values.ravel().tolist()} for name in "ab"]
    maps = write_stage(run_dir, MAPS.empty_table().from_pylist(rows, schema=MAPS), "maps")
    write_stage(run_dir, BOXES, "boxes", title="CAM", tables={"maps": maps.fingerprint})
    assert psol("evaluate", run_dir) == 0
    assert metrics_of(run_dir)["threshold_sweep"]["images"] == 2
    assert metrics_of(run_dir)["intervals"]["threshold_sweep"]["max_box_acc"] is not None
    write_stage(run_dir, BOXES, "boxes", {"other": True}, title="CAM", tables={"maps": "0" * 16})
    assert psol("evaluate", run_dir) == 0
    assert "threshold_sweep" not in metrics_of(run_dir)


def test_the_page_is_not_made_of_scores_of_other_tables(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert psol("report", run_dir) == 2
    assert "found no scores; run `psol evaluate` first" in capsys.readouterr().err
    assert psol("evaluate", run_dir) == psol("report", run_dir) == 0
    assert "DDT finds" not in (page := (run_dir / "report" / "index.html").read_text())
    assert "the pseudo boxes (DDT)" in page
    write_stage(run_dir, BOXES, "boxes", {"other": True}, title="DDT")
    assert psol("report", run_dir) == 2
    assert "found scores of other boxes than those in" in capsys.readouterr().err


def test_neither_loads_torch_or_ray(run_dir: Path) -> None:
    code = """
import sys
from psol_ray.cli import main
for command in ("evaluate", "report"):
    assert main([command, "--run_dir", sys.argv[1], "--data.root", sys.argv[2]]) == 0
print(sorted({"torch", "torchvision", "timm", "ray", "nvidia", "cv2"} & sys.modules.keys()))
"""
    command = [sys.executable, "-c", code, str(run_dir), str(run_dir.parent)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-1] == "[]"
