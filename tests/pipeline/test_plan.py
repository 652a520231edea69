"""What `psol plan` says of a run, and where its figures are from."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from synthetic.configs import write_config
from synthetic.images import write_images

from psol_ray.cli import main
from psol_ray.in_process import InProcess
from psol_ray.pipeline import plan as module
from psol_ray.pipeline import speeds
from psol_ray.pipeline.workload import Network, Pass, find_workload
from psol_ray.prediction.settings import PredictConfig
from psol_ray.preflight import measure
from psol_ray.preflight.rates import EFFICIENCY, GPUS
from psol_ray.tables import Provenance

from .conftest import Run, context_of


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(measure, "_SECONDS", 0.0)


def rows(shown: str) -> dict[str, list[str]]:
    """Cells of the tables' rows, by the first."""
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    return {first: others for first, *others in lines}


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0.0, "0"),
        (3e-5, "under 0.01"),
        (0.0123, "0.012"),
        (3.456, "3.5"),
        (12_345.6, "12,346"),
        (math.nan, "not known"),
    ],
)
def test_amounts_are_shown_as_people_plan_with_them(amount: float, shown: str) -> None:
    assert module._number(amount) == shown


def test_before_anything_is_made_rates_are_measured_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of eighteen images all is under a hundredth.
    monkeypatch.setattr(module, "_number", str)
    config = write_config(tmp_path, write_images(tmp_path / "images", ["red", "blue"]))
    assert main(["plan", "--config", str(config)]) == 0
    shown = rows(capsys.readouterr().out)
    assert shown["classes"] == ["2", "listing"]
    assert shown["training images"] == ["12", "listing"]
    assert shown["test images"] == ["6", "listing"]
    for stage in ("boxes", "train localizer", "train classifier", "predict"):
        assert shown[stage][3].startswith("measured here: the network, reading and decoding")
    assert float(shown["boxes"][1]) == pytest.approx(18 / float(shown["boxes"][0]) / 3600, rel=0.1)
    # For who has to ask for GPUs.
    assert shown["H100"][2] == f"derived: {EFFICIENCY:.0%} of {GPUS['H100']:.0f} TFLOP/s"
    assert not (tmp_path / "run").exists()


def test_images_that_are_read_and_passes_of_networks(whole: Run) -> None:
    workload = find_workload(context_of(whole))
    assert workload.counts.source == "catalog"
    assert [(p.stage, p.images, p.training) for p in workload.passes] == [
        ("boxes", 18, False),
        ("train localizer", 24, True),  # two epochs
        ("train localizer", 12, False),
        ("train classifier", 12, True),
        ("train classifier", 6, False),
        ("predict", 6, False),
        ("predict", 6, False),
    ]
    # Both networks of the prediction see the same images.
    assert workload.images_read == 18 + 24 + 12 + 12 + 6 + 6
    total = sum(path.stat().st_size for path in whole.root.rglob("*.jpg"))
    assert workload.counts.bytes_per_image == pytest.approx(total / 18)


def test_ten_crops_are_ten_passes_over_an_image_that_is_read_once(whole: Run) -> None:
    context = context_of(whole)
    ten = replace(context, config=replace(context.config, predict=PredictConfig(class_view="ten")))
    assert [(p.images, p.factor) for p in find_workload(ten).passes if p.stage == "predict"] == [(6, 1), (6, 10)]
    assert find_workload(ten).images_read == find_workload(context).images_read


def rate_of(run: Run, stage: str) -> dict[str, Any]:
    """What it has kept of its speed."""
    return json.loads((run.run_dir / stage / "_SUCCESS").read_text())["summary"]["rate"]


@pytest.fixture
def planned(copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The rows that the command prints of this run's images, few as they are, with all digits."""
    monkeypatch.setattr(speeds, "_FEW_IMAGES", 1)
    monkeypatch.setattr(module, "_number", str)

    def planned(*flags: str) -> dict[str, list[str]]:
        capsys.readouterr()
        assert copy.psol("plan", *flags) == 0
        return rows(capsys.readouterr().out)

    return planned


@pytest.mark.parametrize("flags", [[], ["--predict.class_view", "ten"]])
def test_what_has_run_is_planned_to_take_as_long_again(copy: Run, planned: Any, flags: list[str]) -> None:
    if flags:
        assert copy.psol("predict", "--overwrite", *flags) == 0
    shown = planned(*flags)
    for stage, name, images in (("boxes", "boxes", 18), ("predict", "predictions", 6)):
        rate = rate_of(copy, name)
        assert rate["images"] == images
        assert float(shown[stage][1]) == pytest.approx(rate["worker_seconds"] / 3600)
        assert shown[stage][3] == f"measured by this run ({images} images on {InProcess().device})"


def test_the_validation_of_a_training_takes_time_that_its_rate_does_not_tell(copy: Run, planned: Any) -> None:
    rate = rate_of(copy, "localizer")
    # Two epochs; without the backward pass an image takes a third.
    images = 2 * 12 + 2 * 6 / 3
    hours = images / (rate["images"] / rate["worker_seconds"]) / 3600
    assert float(planned()["train localizer"][1]) == pytest.approx(hours)


def test_a_rate_is_not_taken_for_that_of_another_view(copy: Run, planned: Any) -> None:
    assert planned()["predict"][3].startswith("measured by")
    assert planned("--predict.class_view", "ten")["predict"][3].startswith("measured here")
    assert planned("--predict.view", "center")["predict"][3].startswith("measured here")
    assert copy.psol("predict", "--overwrite", "--predict.class_view", "ten") == 0
    assert planned()["predict"][3].startswith("measured here")
    assert planned("--predict.class_view", "ten")["predict"][3].startswith("measured by")


def test_a_rate_is_not_taken_for_that_of_another_number_of_cpus(planned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for cpus, source in ((InProcess.num_cpus(), "measured by"), (96, "measured here")):
        monkeypatch.setattr(module, "_devices", lambda _, cpus=cpus: module._Devices(8, None, "the cluster", cpus))
        assert planned()["boxes"][3].startswith(source)


NETWORK = {"backbone": "resnet50", "input_size": 224}


@pytest.mark.parametrize(
    ("config", "details", "passes"),
    [
        pytest.param(
            {"view": "whole", "class_view": "whole"},
            {"localizer": NETWORK, "classifiers": []},
            [Pass("predict", Network("resnet50", 224), 9)] * 2,
            id="a prediction without classes",
        ),
        pytest.param(
            {"backbone": "resnet50", "input_size": None},
            {},
            [Pass("train localizer", Network("resnet50", 112), 9, training=True)],
            id="a training at the backbone's own size",
        ),
        pytest.param(
            {"method": "ddt", **NETWORK}, {}, [Pass("boxes", Network("resnet50", 224), 9)], id="features for class maps"
        ),
    ],
)
def test_a_rate_is_not_taken_for_that_of_other_networks(
    config: dict[str, Any], details: dict[str, Any], passes: list[Pass]
) -> None:
    assert not speeds._is_same(Provenance("any", config, {}, details=details), passes)


def test_what_a_run_had_is_kept_and_taken_for_one_beside_it(
    copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage in ("boxes", "predictions", "localizer", "classifier"):
        rate = rate_of(copy, stage)
        assert rate["device"] == InProcess().device
        assert rate["images"] > 0
        assert rate["worker_seconds"] > 0
    monkeypatch.setattr(speeds, "_FEW_IMAGES", 1)
    # Beside it, with nothing but the same settings.
    beside = str(copy.run_dir.parent / "another")
    assert copy.psol("plan", "--run_dir", beside) == 0
    shown = rows(capsys.readouterr().out)
    for stage in ("boxes", "train localizer", "train classifier", "predict"):
        assert shown[stage][3].startswith(f"measured by {copy.run_dir} (")
    # Not for another network.
    assert copy.psol("plan", "--run_dir", beside, "--boxes.input_size", "64") == 0
    assert rows(capsys.readouterr().out)["boxes"][3].startswith("measured here")


def test_a_complete_stage_says_nothing_of_its_rate(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert copy.psol("boxes") == 0
    assert "rate" not in capsys.readouterr().out.replace("generate", "")


def test_gpus_that_are_not_here_are_derived(
    copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_devices", lambda _: module._Devices(8, "H100", "the cluster"))
    assert copy.psol("plan") == 0
    out = capsys.readouterr().out
    assert "Time on 8 x H100, by the cluster" in out
    assert rows(out)["boxes"][3] == f"derived from operations, {EFFICIENCY:.0%} of 989 TFLOP/s"
    assert "On GPUs instead" not in out


@pytest.mark.usefixtures("cluster")
def test_workers_are_those_of_the_cluster(cluster: str, copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert copy.psol("plan", "--cluster.address", cluster) == 0
    num_cpus = int(ray.cluster_resources()["CPU"])
    assert f"Time on 1 x {num_cpus} CPUs, by the cluster" in capsys.readouterr().out


def test_images_that_cannot_be_listed(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert copy.psol("plan", "--run_dir", str(copy.run_dir) + "-new", "--data.root", "/nowhere") == 2
    assert "psol plan: data.root '/nowhere' does not exist" in capsys.readouterr().err
