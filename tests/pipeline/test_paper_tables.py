"""`psol paper-tables`: runs beside the paper's figures."""

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic.networks import file_of

from psol_ray.cli import main
from psol_ray.report.scores import DASH
from psol_ray.tables import CATALOG, RunDir

from .conftest import Run


def of_data_set(run: Run, layout: str, *flags: str) -> str:
    """The run, scored as if its images were of a data set that the paper has."""
    stage = RunDir(str(run.run_dir)).stage("catalog")
    catalog, made_by = stage.read(CATALOG), stage.require()
    made_by = replace(made_by, config={**made_by.config, "layout": layout})
    stage.begin(made_by, overwrite=True)
    stage.write_part("part-00000", catalog, made_by)
    stage.complete(made_by)
    assert run.psol("evaluate", *flags) == 0
    return str(run.run_dir)


def rows_of(printed: str, number: int) -> list[list[str]]:
    """Cells of one table, without its head."""
    (section,) = [part for part in printed.split("Table ") if part.startswith(f"{number}.")]
    lines = [line.strip() for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_run_has_its_figures_in_the_tables_it_belongs_to(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = of_data_set(copy, "cub", "--evaluate.coordinates", "crop", "--evaluate.iou_rule", "above")
    capsys.readouterr()
    assert main(["paper-tables", run_dir]) == 0
    printed = capsys.readouterr().out
    (boxes,) = [row for row in rows_of(printed, 1) if row[1] == "ours [1]"]
    assert boxes[0] == "DDT, test_resnet"
    assert boxes[2] != DASH
    psol = rows_of(printed, 2)[-1]
    assert psol[:2] == ["PSOL-Sep, test_efficientnet", "ours [3]"]
    assert all(0 < float(cell) < 2 for cell in psol[2:4])
    top1, top5, gt_known = (float(cell) for cell in psol[4:7])
    assert 0 <= top1 <= top5 <= gt_known <= 100
    images = f"{run_dir}: 2 classes, 12 training and 6 test images"
    assert f"[1] {images}; 96 pixels, bilinear" in printed
    assert f"[3] {images}; boxes at 64 pixels of whole images, classes at 64 of whole images" in printed
    costs = [row for row in rows_of(printed, 2) if row[1] in ("ours [1]", "ours [2]")]
    assert len(costs) == 10
    assert all(float(row[2]) > 10 and float(row[3]) > 3 for row in costs)


def test_a_transferred_localizer_stands_in_table_3(
    copy: Run, whole: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other" / "localizer"
    other.mkdir(parents=True)
    (other / "model.safetensors").write_bytes(file_of([[0.25, 0.25, 0.5, 0.5]]))
    run = Run(whole.config, tmp_path / "transfer", whole.root)
    assert run.psol("transfer", "--predict.localizer", str(other / "model.safetensors")) == 0
    run_dirs = [of_data_set(copy, "cub"), of_data_set(run, "imagenet")]
    capsys.readouterr()
    assert main(["paper-tables", *run_dirs]) == 0
    *_, (name, whose, of_cub, of_imagenet) = rows_of(capsys.readouterr().out, 3)
    assert (name, whose, of_cub) == ("from other, test_efficientnet", "ours [1]", DASH)
    assert 0 <= float(of_imagenet) <= 100


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["{run}"], "found data of layout folder, expected cub or imagenet; leave it out"),
        (["{tmp}/none"], "found no complete catalog, expected the run_dir of a run; give another one"),
        ([], "expected one or more run directories"),
    ],
)
def test_runs_that_are_none(
    whole: Run, tmp_path: Path, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [argument.format(run=whole.run_dir, tmp=tmp_path) for argument in arguments]
    assert main(["paper-tables", *names]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert complaint in told
