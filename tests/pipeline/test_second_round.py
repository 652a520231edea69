"""`psol boxes --boxes.method localizer`: the boxes of an earlier run's localizer, in the table that DDT's are in."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from synthetic.networks import file_of

from psol_ray.models.saved import NetworkFile
from psol_ray.tables import PREDICTIONS, RunDir
from psol_ray.tables.schemas import boxes_array

from .conftest import Run, assert_same_boxes, boxes_of

CENTRE = [0.25, 0.25, 0.5, 0.5]


def by(file: Path | str) -> tuple[str, ...]:
    """Flags that have this localizer draw the boxes."""
    return ("--boxes.method", "localizer", "--boxes.localizer.path", str(file))


def localizer_of(run: Run) -> Path:
    return run.run_dir / "localizer" / "model.safetensors"


def begin(whole: Run, folder: Path) -> Run:
    """A run of the same images with nothing but a catalog."""
    shutil.copytree(whole.run_dir / "catalog", folder / "run" / "catalog")
    return Run(whole.config, folder / "run", whole.root)


@pytest.fixture
def begun(whole: Run, tmp_path: Path) -> Run:
    return begin(whole, tmp_path)


@pytest.fixture(scope="module")
def second(whole: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Boxes by the localizer of `whole`, for which no weights of DDT's were read; do not change it."""
    run = begin(whole, tmp_path_factory.mktemp("second"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("psol_ray.models.weights.load_state", lambda *_, **__: pytest.fail("read DDT's weights"))
        assert run.psol("boxes", *by(localizer_of(whole)), "--boxes.precision", "auto") == 0
    return run


@pytest.fixture
def second_copy(second: Run, tmp_path: Path) -> Run:
    shutil.copytree(second.run_dir, tmp_path / "run")
    return Run(second.config, tmp_path / "run", second.root)


def test_boxes_are_what_the_localizer_predicts(whole: Run, second: Run) -> None:
    boxes = boxes_of(second)
    assert boxes.column("image_id") == boxes_of(whole).column("image_id")
    assert boxes.column("status") == boxes_of(whole).column("status")
    predicted = RunDir(str(whole.run_dir)).stage("predictions").read(PREDICTIONS).sort_by("image_id")
    of_test_images = boxes.filter(pc.is_in(boxes["image_id"], value_set=predicted["image_id"].combine_chunks()))
    assert boxes_array(of_test_images) == pytest.approx(boxes_array(predicted), abs=0.5, nan_ok=True)
    summary = json.loads((second.run_dir / "boxes" / "_SUCCESS").read_text())["summary"]
    assert (summary["images"], summary["without_foreground"], summary["unreadable"]) == (18, 0, 2)


def test_makes_missing_parts_only(second: Run, second_copy: Run, whole: Run) -> None:
    folder = second_copy.run_dir / "boxes"
    (folder / "part-red.parquet").unlink()
    (folder / "_SUCCESS").unlink()
    written = (folder / "part-blue.parquet").stat().st_mtime_ns
    flags = [*by(localizer_of(whole)), "--boxes.precision", "auto"]
    assert second_copy.psol("boxes", *flags) == 0
    assert (folder / "part-blue.parquet").stat().st_mtime_ns == written
    assert_same_boxes(second_copy, second)


def test_neither_the_file_s_place_nor_settings_of_ddt_matter(
    whole: Run, second: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(localizer_of(whole), tmp_path / "elsewhere.safetensors")
    monkeypatch.setattr(NetworkFile, "load", lambda _: pytest.fail("built a network"))
    flags = [
        "--boxes.precision",
        "auto",
        "--boxes.backbone",
        "vgg16",
        "--boxes.weights",
        "no such file",
        "--boxes.input_size",
        "7",
    ]
    uri = (tmp_path / "elsewhere.safetensors").as_uri()
    assert second.psol("boxes", *by(uri), "--boxes.upsample", "nearest", *flags) == 0
    assert "complete already" in capsys.readouterr().out


def test_another_localizer_is_another_configuration(
    second: Run, whole: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.safetensors").write_bytes(file_of([CENTRE]))
    flags = [*by(tmp_path / "other.safetensors"), "--boxes.precision", "auto"]
    assert second.psol("boxes", *flags) == 2
    assert "weights_hash: " in capsys.readouterr().err
    assert whole.psol("boxes", *flags) == 2
    assert "use another run_dir" in capsys.readouterr().err


def test_a_joint_network_chooses_by_its_own_classes(begun: Run, tmp_path: Path) -> None:
    (tmp_path / "joint.safetensors").write_bytes(file_of([CENTRE, [0.5, 0.5, 0.25, 0.25], [0.9] * 4], num_classes=3))
    assert begun.psol("boxes", *by(tmp_path / "joint.safetensors")) == 0
    boxes = boxes_of(begun).filter(pc.field("status") == "ok")
    # The last is clipped to the image.
    expected = np.array([0.25, 0.0625, 0.01])
    area_N = boxes.column("area_fraction").to_numpy()
    assert np.abs(area_N[:, None] - expected).min(axis=1).max() < 1e-3
    assert (boxes_array(boxes)[:, 2] <= boxes.column("width").to_numpy()).all()


@pytest.mark.parametrize(
    ("make_file", "complaint"),
    [
        pytest.param(None, "found no file '{path}', expected a model.safetensors of", id="missing"),
        pytest.param(lambda: b"\xff\xd8 photo", "'{path}': found a file of another program; ", id="foreign"),
        pytest.param(lambda: file_of([CENTRE])[:-9], "'{path}': found a file that is not whole (", id="cut short"),
        pytest.param(
            lambda: file_of([], 3), "'{path}': found a classifier, which predicts no boxes, ", id="classifier"
        ),
        pytest.param(
            lambda: file_of([CENTRE] * 3),
            "'{path}': found a localizer with a box for each of 3 classes and nothing to tell the class by",
            id="boxes by class",
        ),
    ],
)
def test_refuses_what_is_no_localizer(
    begun: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make_file: Callable[[], bytes] | None,
    complaint: str,
) -> None:
    path = tmp_path / "model.safetensors"
    if make_file is not None:
        path.write_bytes(make_file())
    assert begun.psol("boxes", *by(path)) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"psol boxes: boxes.localizer.path: {complaint.format(path=path)}")
    assert not (begun.run_dir / "boxes").exists()


@pytest.mark.slow
def test_a_second_round_goes_on_to_the_page(whole: Run, second_copy: Run, tmp_path: Path) -> None:
    shutil.copytree(whole.run_dir / "classifier", second_copy.run_dir / "classifier")
    flags = [*by(localizer_of(whole)), "--boxes.precision", "auto"]
    assert second_copy.psol("run", *flags, "--localizer.epochs", "1", "--boxes.backbone", "no such") == 0
    metrics = json.loads((second_copy.run_dir / "metrics.json").read_text())
    of_predictions = json.loads((whole.run_dir / "metrics.json").read_text())["localization"]["gt_known"]
    assert metrics["pseudo_boxes"]["test"]["gt_known"] == of_predictions
    page = (second_copy.run_dir / "report" / "index.html").read_text()
    assert "pseudo box (earlier localizer)" in page
    assert "DDT" not in page.partition('id="made-by"')[0]
    assert second_copy.psol("export", "--export.table", "boxes", "--export.out", str(tmp_path / "out")) == 0
