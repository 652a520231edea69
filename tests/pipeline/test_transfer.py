"""`psol transfer`: another run's localizer on images that it has not learned from."""

import json
from pathlib import Path

import pytest
from synthetic.networks import file_of

from .conftest import Run


def test_one_command_scores_a_localizer_on_other_images(whole: Run, tmp_path: Path) -> None:
    (tmp_path / "other.safetensors").write_bytes(file_of([[0, 0, 1, 1]]))
    run = Run(whole.config, tmp_path / "transfer", whole.root)
    assert run.psol("transfer", "--predict.localizer", str(tmp_path / "other.safetensors")) == 0
    metrics = json.loads((run.run_dir / "metrics.json").read_text())
    # A box of a hundredth less than the whole image, in either direction.
    assert metrics["localization"]["gt_known"] == pytest.approx(metrics["baselines"]["whole_image"])
    assert metrics["localization"]["mean_iou"] > 0
    assert metrics["localization"]["top1_loc"] is metrics["classification"]["top1"] is None
    page = (run.run_dir / "report" / "index.html").read_text()
    assert "The localizer finds the object in" in page
    assert {path.name for path in run.run_dir.iterdir()} == {
        "catalog",
        "config.yaml",
        "metrics.json",
        "per_class.csv",
        "predictions",
        "report",
        "scores",
    }


def test_says_what_it_needs(whole: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Run(whole.config, tmp_path / "transfer", whole.root).psol("transfer") == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("psol transfer: predict.localizer: found none, expected the model.safetensors")
    assert not (tmp_path / "transfer").exists()
