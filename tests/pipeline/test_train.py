"""`psol train`: what it leaves behind, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open

from psol_ray.models.saved import SavedNetwork
from psol_ray.pipeline.context import describe
from psol_ray.tables import CATALOG, PREDICTIONS, RunDir

from .conftest import ON_RAY, Run


def rows_of(stage: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("model", "metric", "epochs"), [("localizer", "gt_known", 2), ("classifier", "top1", 1)])
def test_leaves_weights_curves_and_events(whole: Run, model: str, metric: str, epochs: int) -> None:
    stage = whole.run_dir / model
    columns = {"step", "epoch", "time", "loss", "learning_rate", "images_per_s", "workers", metric}
    rows = rows_of(stage)
    # An image of each split cannot be decoded; the localizer leaves its own out, because it has no box.
    assert [set(row) - {"unreadable"} for row in rows] == [{*columns, "test_unreadable"}] * epochs
    events = sorted((stage / "tensorboard").iterdir())
    assert [f"{int(row['step']):012d}" in path.name for row, path in zip(rows, events, strict=True)] == [True] * epochs
    assert all(metric.encode() in path.read_bytes() for path in events)
    for name in ("model", "best"):
        with safe_open(stage / f"{name}.safetensors", "pt") as file:
            recipe = json.loads(file.metadata()["recipe"])
        assert recipe["backbone"] == "test_efficientnet"
        assert recipe["batch_size"] == 4
        assert recipe["version"]
    assert not list(stage.glob("checkpoint_*"))


def test_keeps_the_rate_of_those_who_worked_in_the_end(copy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there were when the last epoch ended, whatever was planned."""
    monkeypatch.setattr("psol_ray.training.metrics_log.num_workers", lambda: 6)
    assert copy.psol("train classifier", "--overwrite") == 0
    stage = copy.run_dir / "classifier"
    rate = json.loads((stage / "_SUCCESS").read_text())["summary"]["rate"]
    assert rate["images"] / rate["worker_seconds"] == pytest.approx(rows_of(stage)[-1]["images_per_s"] / 6)


def test_removes_the_checkpoint_that_a_killed_run_had_no_time_to_remove(copy: Run) -> None:
    left = copy.run_dir / "localizer" / "checkpoint_of_a_killed_run"
    left.mkdir()
    (left / "checkpoint.pt").touch()
    assert copy.psol("train localizer") == 0
    assert not left.exists()
    assert (copy.run_dir / "localizer" / "model.safetensors").exists()


def test_its_summary_says_how_good_it_is(whole: Run) -> None:
    summary = json.loads((whole.run_dir / "localizer" / "_SUCCESS").read_text())["summary"]
    assert summary["gt_known"] == rows_of(whole.run_dir / "localizer")[-1]["gt_known"]
    assert describe({"images": 1200, "gt_known": 0.7984, "seconds": 12.5}) == "1,200 images, gt known 79.8%, 12.5 s"


def test_the_score_of_the_last_epoch_is_what_evaluation_finds(whole: Run) -> None:
    metrics = json.loads((whole.run_dir / "metrics.json").read_text())
    # Validation may run in bfloat16, as prediction does.
    assert rows_of(whole.run_dir / "localizer")[-1]["gt_known"] == metrics["localization"]["gt_known"]
    assert rows_of(whole.run_dir / "classifier")[-1]["top1"] == metrics["classification"]["top1"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (
            ["--cluster.workers", "2", "--localizer.batch_size", "1"],
            "localizer.batch_size: 1 images a step leave some of up to 2 workers without one",
        ),
        (["--cluster.min_workers", "3"], "cluster.min_workers: found 3, expected at most the 1 workers there are"),
    ],
)
def test_refuses_workers_that_cannot_share_a_batch(
    copy: Run, cluster: str, flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cluster
    shutil.rmtree(copy.run_dir / "localizer")
    assert copy.psol("train localizer", *ON_RAY, *flags) == 2
    assert complaint in capsys.readouterr().err


def test_refuses_boxes_of_another_catalog(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(copy.run_dir / "localizer")
    stage = RunDir(str(copy.run_dir)).stage("catalog")
    catalog = stage.read(CATALOG)
    renamed = ["other.jpg", *catalog.column("image_id").to_pylist()[1:]]
    (name,) = stage.parts()
    made_by = stage.require()
    stage.write_part(name, catalog.set_column(0, "image_id", [renamed]), made_by)
    stage.complete(made_by)
    assert copy.psol("train localizer") == 2
    told = capsys.readouterr().err
    assert "boxes: 1 of 12 training images have no row, the first is other.jpg; run `psol boxes`" in told


@pytest.mark.slow
def test_one_network_for_both_is_trained_and_predicts_alone(copy: Run) -> None:
    small = {"backbone": "test_efficientnet", "weights": "random", "input_size": "64", "batch_size": "4", "epochs": "1"}
    options = {"micro_batch_size": "3", "regression": "per_class", "ema_decay": "0.5", "schedule": "cosine"}
    flags = [word for name, value in {**small, **options}.items() for word in (f"--joint.{name}", value)]
    for stage in ("localizer", "classifier", "predictions"):
        shutil.rmtree(copy.run_dir / stage)
    assert copy.psol("train joint", *flags) == 0
    saved, _ = SavedNetwork.from_bytes((copy.run_dir / "joint" / "model.safetensors").read_bytes())
    assert (saved.num_boxes, saved.num_classes) == (2, 2)
    assert copy.psol("predict", *flags, "--predict.models", "joint") == 0
    predictions = RunDir(str(copy.run_dir)).stage("predictions").read(PREDICTIONS)
    assert len(predictions) == 6
    read = [labels for labels in predictions.column("top_labels").to_pylist() if labels]
    assert len(read) == 5  # one image cannot be read
    assert all(sorted(labels) == [0, 1] for labels in read)


@pytest.mark.slow
def test_a_loss_that_diverges_is_told_in_a_sentence_and_not_tried_again(
    copy: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copy.run_dir / "classifier")
    flags = ("--classifier.learning_rate", "1e30", "--classifier.epochs", "5")
    assert copy.psol("train classifier", *flags) == 2
    told = capsys.readouterr().err
    assert "not a finite number, at learning_rate 1e+30; lower it" in told.splitlines()[-1]
    assert "going on from the last checkpoint" not in told
