"""Each command alone, on a copy of a run of which one stage is gone."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from psol_ray.tables import PREDICTIONS, RunDir
from psol_ray.tables.schemas import boxes_array

from .conftest import Run


def test_index_makes_the_same_catalog_again(whole: Run, copy: Run) -> None:
    shutil.rmtree(copy.run_dir / "catalog")
    assert copy.psol("index") == 0
    part = "catalog/part-00000.parquet"
    assert (copy.run_dir / part).read_bytes() == (whole.run_dir / part).read_bytes()


def test_predict_makes_missing_parts_only(whole: Run, copy: Run) -> None:
    shutil.rmtree(copy.run_dir / "predictions")
    assert copy.psol("predict", "--predict.batch_size", "4") == 0
    first, again = (RunDir(str(run.run_dir)).stage("predictions").read(PREDICTIONS) for run in (whole, copy))
    assert first.column("image_id") == again.column("image_id")
    assert boxes_array(again) == pytest.approx(boxes_array(first), abs=0.5, nan_ok=True)


def test_evaluate_scores_pseudo_boxes_alone(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(copy.run_dir / "predictions")
    assert copy.psol("evaluate") == 0
    assert "Pseudo boxes" in capsys.readouterr().out
    assert json.loads((copy.run_dir / "metrics.json").read_text())["localization"]["gt_known"] is None


def test_report_wants_metrics_first(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (copy.run_dir / "metrics.json").unlink()
    assert copy.psol("report") == 2
    assert "run `psol evaluate` first" in capsys.readouterr().err
    assert copy.psol("evaluate") == 0
    shutil.rmtree(copy.run_dir / "report")
    assert copy.psol("report") == 0
    assert (copy.run_dir / "report" / "index.html").is_file()


@pytest.mark.parametrize(("table", "boxes"), [("predictions", 5), ("boxes", 16)])
def test_export_counts_what_it_writes(
    whole: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, boxes: int
) -> None:
    assert whole.psol("export", "--export.table", table, "--export.out", str(tmp_path / "out")) == 0
    assert f"{boxes} boxes in {tmp_path}" in capsys.readouterr().out
    assert len((tmp_path / "out" / "boxes.csv").read_text().splitlines()) == 1 + boxes
    unreadable = (tmp_path / "out" / "unreadable.csv").read_text().splitlines()
    assert "val/blue/2.jpg" in unreadable


def test_boxes_alone_without_ground_truth_have_a_page(copy: Run) -> None:
    for name in ("predictions", "scores", "report", "localizer", "classifier"):
        shutil.rmtree(copy.run_dir / name)
    (copy.run_dir / "metrics.json").unlink()
    part = copy.run_dir / "catalog/part-00000.parquet"
    table = pq.read_table(part)
    place = table.schema.get_field_index("gt_boxes")
    nothing = pa.array([[]] * len(table), table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.schema.field(place), nothing), part)
    success = copy.run_dir / "catalog/_SUCCESS"
    content = json.loads(success.read_text())
    content["files"] = {part.name: part.stat().st_size}
    success.write_text(json.dumps(content))
    assert copy.psol("report") == 0
    page = (copy.run_dir / "report/index.html").read_text()
    assert "judge by eye" in page
    assert '"heat":{"height"' in page
    assert 'id="pace"' in page
