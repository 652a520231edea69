"""The same run on a Ray cluster and in one process: every table the same, to the last digit."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from psol_ray.tables import BOXES, CATALOG, PREDICTIONS, RunDir

from .conftest import ON_RAY, Run


@pytest.fixture(scope="module")
def on_ray(whole: Run, tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Run:
    """What `whole` is, by actors, Ray Train and tasks."""
    assert cluster
    run = Run(whole.config, tmp_path_factory.mktemp("on_ray") / "run", whole.root)
    assert run.psol("run", *ON_RAY) == 0
    return run


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "schema"), [("catalog", CATALOG), ("boxes", BOXES), ("predictions", PREDICTIONS)])
def test_tables_are_the_same(whole: Run, on_ray: Run, stage: str, schema: object) -> None:
    tables = [RunDir(str(run.run_dir)).stage(stage).read(schema) for run in (whole, on_ray)]  # type: ignore[arg-type]
    # As text, which takes NaN for NaN.
    assert repr(tables[0].to_pydict()) == repr(tables[1].to_pydict())


@pytest.mark.slow
@pytest.mark.parametrize("file", ["localizer/model", "localizer/best", "classifier/model", "classifier/best"])
def test_networks_are_the_same(whole: Run, on_ray: Run, file: str) -> None:
    mine, theirs = (safetensors.torch.load_file(run.run_dir / f"{file}.safetensors") for run in (whole, on_ray))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.slow
def test_scores_are_the_same(whole: Run, on_ray: Run) -> None:
    metrics = [json.loads((run.run_dir / "metrics.json").read_text()) for run in (whole, on_ray)]
    assert metrics[0] == metrics[1]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["boxes", "predictions"])
def test_a_rate_is_of_the_time_that_the_one_worker_was_there(on_ray: Run, stage: str) -> None:
    summary = json.loads((on_ray.run_dir / stage / "_SUCCESS").read_text())["summary"]
    assert 0 < summary["rate"]["worker_seconds"] < summary["seconds"]


@pytest.mark.slow
def test_a_run_begun_on_one_is_complete_for_the_other(
    whole: Run, on_ray: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for run, flags in ((whole, ON_RAY), (on_ray, ())):
        assert run.psol("boxes", *flags) == 0
        assert "complete already" in capsys.readouterr().out


def test_an_address_that_cannot_be_one_is_told_whatever_is_complete(
    whole: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where jobs are submitted; people have it in their environment.
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    assert whole.psol("boxes", "--cluster.address", "null") == 2
    assert capsys.readouterr().err.startswith("psol boxes: RAY_ADDRESS: found 'http://127.0.0.1:8265', expected HOST")
    assert whole.psol("evaluate") == 0


def test_in_process_starts_no_ray(whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.init", lambda **_: pytest.fail("started Ray"))
    run = Run(whole.config, tmp_path / "run", whole.root)
    assert run.psol("index") == 0
    assert run.psol("boxes") == 0
