"""`psol export`: one table's boxes in a new folder, without Ray or torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.cli import main
from psol_ray.tables import BOXES, CATALOG, PREDICTIONS, Provenance, RunDir
from psol_ray.tables.boxes_table import boxes_table
from psol_ray.tables.schemas import box_columns

NAMES = ["train/red/a.jpg", "train/red/cut short.jpg", "val/red/b.jpg", "val/red/line.jpg"]
BOXES_44 = np.array([[1, 2, 30, 17.5], [np.nan] * 4, [0, 0, 40, 20], [7, 7, 7, 9]])


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run with a catalog, boxes of both splits and predictions of the test images."""
    rows = [
        {"image_id": name, "label": 0, "class_name": "red", "width": 40, "height": 20, "gt_boxes": []}
        | {"split": "train" if name.startswith("train") else "test"}
        for name in NAMES
    ]
    catalog = pa.Table.from_pylist(rows, schema=CATALOG)
    boxes = boxes_table(catalog, BOXES_44, np.array(["ok", "unreadable", "ok", "ok"]))
    labels = {name: pa.array([[0], [0]], PREDICTIONS.field(name).type) for name in ("top_labels", "top_probs")}
    predictions = pa.table({"image_id": pa.array(NAMES[2:]), **box_columns(BOXES_44[2:] / 2), **labels})
    for name, table in {"catalog": catalog, "boxes": boxes, "predictions": predictions.cast(PREDICTIONS)}.items():
        made_by = Provenance(name, {}, {})
        stage = RunDir(str(tmp_path / "run")).stage(name)
        stage.write_part("part-0", table, made_by)
        stage.complete(made_by)
    return tmp_path / "run"


def export(run_dir: Path, *flags: str) -> int:
    """Run `psol export` on it."""
    return main(["export", "--run_dir", str(run_dir), "--data.root", "anywhere", *flags])


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_predictions_go_out_as_csv_where_nothing_else_is_said(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert export(run_dir) == 0
    assert capsys.readouterr().out == "export: 2 boxes in export\n"
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["boxes.csv"]
    assert lines_of(tmp_path / "export/boxes.csv") == [
        "image_id,x0,y0,x1,y1",
        "val/red/b.jpg,0.0,0.0,20.0,10.0",
        "val/red/line.jpg,3.5,3.5,3.5,4.5",
    ]


def test_images_that_cannot_be_read_are_counted_and_listed(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert export(run_dir, "--export.table", "boxes", "--export.format", "wsol", "--export.out", str(out)) == 0
    assert capsys.readouterr().out == (
        f"export: 3 boxes in {out}; unreadable images left out: 1, listed in unreadable.csv\n"
    )
    assert lines_of(out / "unreadable.csv") == ["image_id", "train/red/cut short.jpg"]
    assert lines_of(out / "localization.txt") == [
        "train/red/a.jpg,1,2,30,18",
        "val/red/b.jpg,0,0,39,19",
        "val/red/line.jpg,7,7,7,9",
    ]


def test_a_table_that_is_not_there_and_a_folder_that_is_are_refused(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "predictions/_SUCCESS").unlink()
    assert export(run_dir, "--export.out", str(tmp_path / "out")) == 2
    assert "found no complete predictions; run `psol predict` first" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert export(run_dir, "--export.table", "boxes", "--export.out", str(run_dir)) == 2
    assert f"psol export: {run_dir}: found something there, expected a new or empty folder" in capsys.readouterr().err


def test_neither_torch_nor_ray_is_loaded(run_dir: Path, tmp_path: Path) -> None:
    flags = ["export", "--run_dir", str(run_dir), "--data.root", "anywhere", "--export.out", str(tmp_path / "out")]
    code = (
        f"import sys, json; from psol_ray.cli import main; assert main({flags}) == 0; print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert {"ray", "torch", "timm"}.isdisjoint(json.loads(done.stdout.splitlines()[-1]))
    assert RunDir(str(run_dir)).stage("boxes").read(BOXES).num_rows == 4
