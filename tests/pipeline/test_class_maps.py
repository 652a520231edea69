"""`psol boxes --boxes.method cam | grad_cam`: boxes from a classifier's maps, in the table that DDT's are in."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
import torch
from synthetic.configs import write_config
from synthetic.images import cut_short, write_images
from synthetic.networks import file_of

from psol_ray.generators.class_maps.boxes import min_max
from psol_ray.generators.class_maps.maps import ActivationMaps
from psol_ray.generators.class_maps.worker import ClassMapWorker
from psol_ray.geometry.boxes import scale
from psol_ray.heatmaps.boxes import heat_to_boxes
from psol_ray.images.decoder import make_decoder
from psol_ray.models.saved import SavedNetwork
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.evaluate import read_maps
from psol_ray.report.run_status import RunStatus
from psol_ray.tables import BOXES, CATALOG, MAPS, Provenance, RunDir, StageDir
from psol_ray.tables.schemas import boxes_array
from psol_ray.work.jobs import Parts, Task

from .conftest import Run, assert_same_boxes, boxes_of, context_of

CAM = ["--boxes.method", "cam"]
GRAD_CAM = ["--boxes.method", "grad_cam"]


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """18 images of two classes, two of which cannot be read; a catalog, and a classifier that nobody trained."""
    folder = tmp_path_factory.mktemp("classified")
    root = write_images(folder / "images", ["red", "blue"])
    cut_short(root / "train/red/1.jpg", root / "val/blue/2.jpg")
    run = Run(write_config(folder, root), folder / "run", root)
    assert run.psol("index") == 0
    stage, made_by = RunDir(str(run.run_dir)).stage("classifier"), Provenance("classifier", {}, {})
    stage.begin(made_by, overwrite=False)
    stage.write_bytes("model.safetensors", file_of([], num_classes=2))
    stage.complete(made_by)
    return run


def copy_of(run: Run, folder: Path) -> Run:
    shutil.copytree(run.run_dir, folder / "run")
    return Run(run.config, folder / "run", run.root)


@pytest.fixture
def begun(classified: Run, tmp_path: Path) -> Run:
    return copy_of(classified, tmp_path)


@pytest.fixture(scope="module")
def cam(classified: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Boxes by CAM, for which no weights of DDT's were read; do not change it."""
    run = copy_of(classified, tmp_path_factory.mktemp("cam"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("psol_ray.models.weights.load_state", lambda *_, **__: pytest.fail("read DDT's weights"))
        assert run.psol("boxes", *CAM) == 0
    return run


@pytest.fixture
def cam_copy(cam: Run, tmp_path: Path) -> Run:
    return copy_of(cam, tmp_path)


def written(run: Run, stage: str) -> dict[str, int]:
    """When each part was written."""
    return {path.name: path.stat().st_mtime_ns for path in (run.run_dir / stage).glob("part-*.parquet")}


def expected_maps(run: Run, method: Any) -> tuple[list[str], torch.Tensor, np.ndarray]:
    """Images of the run, their maps stretched to [0, 1], and whether they can be read."""
    catalog = RunDir(str(run.run_dir)).stage("catalog").read(CATALOG).sort_by("image_id")
    image_ids = catalog.column("image_id").to_pylist()
    saved, network = SavedNetwork.from_bytes((run.run_dir / "classifier" / "model.safetensors").read_bytes())
    decoder = make_decoder(saved.input_size, len(image_ids), num_threads=1, gpu=None)
    decoded = decoder.decode([str(run.root / image_id) for image_id in image_ids])
    labels_N = torch.tensor(catalog.column("label").to_pylist())
    assert labels_N.unique().tolist() == [0, 1]
    return image_ids, min_max(ActivationMaps(saved, network, method)(decoded.images_NHWC, labels_N)), decoded.ok_N


def test_maps_are_those_of_the_test_images_labels(cam: Run) -> None:
    image_ids, unit_Nhw, ok_N = expected_maps(cam, "cam")
    rows = {row["image_id"]: row for row in RunDir(str(cam.run_dir)).stage("maps").read(MAPS).to_pylist()}
    assert sorted(rows) == [image_id for image_id in image_ids if image_id.startswith("val/")]
    for image_id, unit_hw, ok in zip(image_ids, unit_Nhw, ok_N, strict=True):
        if row := rows.get(image_id):
            assert (row["height"], row["width"]) == (tuple(unit_hw.shape) if ok else (0, 0))
            np.testing.assert_allclose(row["values"], unit_hw.ravel() if ok else [], atol=2e-3)
    assert [image_id for image_id, row in rows.items() if not row["values"]] == ["val/blue/2.jpg"]
    assert read_maps(context_of(cam)) == RunDir(str(cam.run_dir)).stage("maps").read(MAPS)


def test_boxes_are_around_what_is_high_and_a_damaged_file_costs_itself(cam: Run) -> None:
    boxes = boxes_of(cam)
    image_ids, unit_Nhw, ok_N = expected_maps(cam, "cam")
    assert boxes.column("image_id").to_pylist() == image_ids
    status = dict(zip(image_ids, boxes.column("status").to_pylist(), strict=True))
    assert {name for name, found in status.items() if found == "unreadable"} == {"train/red/1.jpg", "val/blue/2.jpg"}
    found = heat_to_boxes(unit_Nhw - 0.2, 64, "bilinear")
    sizes = (boxes.column(name).to_numpy() for name in ("width", "height"))
    expected_N4 = np.where(ok_N[:, None], scale(found.boxes_N4, *sizes), np.nan)
    # One pixel of the map's 64 at most, where rounding decides.
    np.testing.assert_allclose(boxes_array(boxes), expected_N4, atol=1.6)
    summary = json.loads((cam.run_dir / "boxes" / "_SUCCESS").read_text())["summary"]
    assert (summary["images"], summary["without_foreground"], summary["unreadable"]) == (18, 0, 2)
    assert RunDir(str(cam.run_dir)).stage("maps").summary() == {"parts": 2}


@pytest.mark.parametrize(
    ("lost", "kept"),
    [
        pytest.param(["boxes/part-red"], ["boxes/part-blue", "maps/part-blue"], id="between maps and boxes"),
        pytest.param(
            ["boxes/part-red", "maps/part-red"],
            ["boxes/part-blue", "maps/part-blue"],
            id="between parts",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["maps/part-red"], ["boxes/part-blue", "maps/part-blue"], id="maps of boxes deleted", marks=pytest.mark.slow
        ),
        pytest.param([], ["boxes/part-blue", "maps/part-blue", "boxes/part-red", "maps/part-red"], id="before the end"),
    ],
)
def test_goes_on_where_it_was_killed(cam: Run, cam_copy: Run, lost: list[str], kept: list[str]) -> None:
    for name in ("boxes/_SUCCESS", "maps/_SUCCESS", *(f"{part}.parquet" for part in lost)):
        (cam_copy.run_dir / name).unlink()
    before = {part: (cam_copy.run_dir / f"{part}.parquet").stat().st_mtime_ns for part in kept}
    assert cam_copy.psol("boxes", *CAM) == 0
    assert {part: (cam_copy.run_dir / f"{part}.parquet").stat().st_mtime_ns for part in kept} == before
    assert_same_boxes(cam_copy, cam)
    assert read_maps(context_of(cam_copy)) == read_maps(context_of(cam))


def test_killed_before_it_claims_the_maps(cam: Run, cam_copy: Run) -> None:
    shutil.rmtree(cam_copy.run_dir / "maps")
    for path in (cam_copy.run_dir / "boxes").glob("*"):
        if path.name != "_STARTED":
            path.unlink()
    assert read_maps(context_of(cam_copy)) is None
    assert cam_copy.psol("boxes", *CAM) == 0
    assert_same_boxes(cam_copy, cam)
    assert read_maps(context_of(cam_copy)) == read_maps(context_of(cam))


def test_boxes_are_complete_only_once_maps_are(begun: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = StageDir.complete

    def killed(stage: StageDir, *arguments: Any) -> None:
        if stage.name == "maps":
            raise KeyboardInterrupt
        complete(stage, *arguments)

    monkeypatch.setattr(StageDir, "complete", killed)
    assert begun.psol("boxes", *CAM) == 130
    assert len(written(begun, "boxes")) == len(written(begun, "maps")) == 2
    assert RunDir(str(begun.run_dir)).stage("boxes").made_by() is None


def test_maps_stand_as_the_boxes_beside_which_they_are_made(begun: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    process, seen = ClassMapWorker.process, []

    def lines() -> list[str]:
        return [" ".join(line.split()) for line in RunStatus(str(begun.run_dir)).lines() if line.startswith("maps")]

    def look(worker: ClassMapWorker, task: Task) -> Parts:
        seen.append(lines())
        if len(seen) == 2:
            raise KeyboardInterrupt
        return process(worker, task)

    monkeypatch.setattr(ClassMapWorker, "process", look)
    assert begun.psol("boxes", *CAM) == 130
    _, (row, told) = seen
    assert row.startswith("maps running 1/2 3/6 ")
    assert f"(process {os.getpid()}) since " in told
    # In the end, too, they know no more of it than the boxes.
    row, told = lines()
    assert row.startswith("maps interrupted 1/2 3/6 ")
    assert told.startswith("maps: interrupted 20")
    assert told.endswith("; the same command goes on from here")


class Idle:
    """An executor that gets ready, and runs nothing."""

    def prepare(self) -> None:
        pass

    def __getattr__(self, name: str) -> None:
        pytest.fail(f"wanted to run something ({name})")


@contextmanager
def without_executor() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Context, "executor", Idle())
        yield


def test_nothing_of_ddt_matters(cam: Run, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--boxes.backbone", "no such", "--boxes.weights", "no such file", "--boxes.upsample", "nearest"]
    with without_executor():
        assert cam.psol("boxes", *CAM, *flags, "--boxes.input_size", "7", "--boxes.precision", "bfloat16") == 0
    assert "complete already" in capsys.readouterr().out


def test_the_file_s_place_does_not_matter(begun: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    for path in (first, second):
        # A joint network's: its boxes are not looked at.
        path.write_bytes(file_of([[0.25] * 4], num_classes=2))
    shutil.rmtree(begun.run_dir / "classifier")
    assert begun.psol("boxes", *GRAD_CAM, "--boxes.class_maps.classifier", str(first)) == 0
    with without_executor():
        assert begun.psol("boxes", *GRAD_CAM, "--boxes.class_maps.classifier", second.as_uri()) == 0
    assert "complete already" in capsys.readouterr().out
    found = RunDir(str(begun.run_dir)).stage("boxes").require()
    assert set(found.config) == {"method", "threshold", "classifier", "weights_hash"}
    assert set(found.inputs) == {"catalog"}


def test_own_classifier_is_an_input(cam: Run) -> None:
    for name in ("boxes", "maps"):
        found = RunDir(str(cam.run_dir)).stage(name).require()
        assert found.inputs["classifier"] == RunDir(str(cam.run_dir)).stage("classifier").require().fingerprint


def test_another_threshold_draws_other_boxes_from_the_same_maps(
    cam: Run, cam_copy: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*CAM, "--boxes.class_maps.threshold", "0.7"]
    assert cam_copy.psol("boxes", *flags) == 2
    assert "threshold: 0.2 there, 0.7 now" in capsys.readouterr().err
    assert cam_copy.psol("boxes", *flags, "--overwrite") == 0
    before, after = (boxes_of(run).filter(pc.field("status") == "ok") for run in (cam, cam_copy))
    assert (after["area_fraction"].to_numpy() < before["area_fraction"].to_numpy()).all()
    assert read_maps(context_of(cam_copy)) == read_maps(context_of(cam))


def test_another_method_replaces_the_maps(cam_copy: Run) -> None:
    assert cam_copy.psol("boxes", *GRAD_CAM, "--overwrite") == 0
    image_ids, unit_Nhw, _ = expected_maps(cam_copy, "grad_cam")
    maps = read_maps(context_of(cam_copy))
    assert maps is not None
    for row in maps.filter(pc.field("height") > 0).to_pylist():
        np.testing.assert_allclose(row["values"], unit_Nhw[image_ids.index(row["image_id"])].ravel(), atol=2e-3)


def test_ddt_knows_nothing_of_it(cam_copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cam_copy.psol("boxes", "--overwrite") == 0
    # Maps that are still there are not those of the boxes.
    assert (cam_copy.run_dir / "maps" / "_SUCCESS").exists()
    assert read_maps(context_of(cam_copy)) is None
    found = RunDir(str(cam_copy.run_dir)).stage("boxes").require()
    assert set(found.config) == {"method", "backbone", "weights", "input_size", "upsample", "precision"}
    capsys.readouterr()
    with without_executor():
        assert cam_copy.psol("boxes") == 0
        assert "complete already" in capsys.readouterr().out
        assert cam_copy.psol("boxes", "--boxes.class_maps.classifier", "some.safetensors") == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "beside boxes.method ddt, which has no use for them; set boxes.method to cam or grad_cam" in told


def file_with(backbone: str) -> bytes:
    saved = SavedNetwork(backbone, 64, num_boxes=0, num_classes=2)
    return saved.to_bytes(saved.build(), {})


@pytest.mark.parametrize(
    ("make_file", "complaint"),
    [
        pytest.param(None, "boxes.class_maps.classifier: found no file '{path}', expected a model", id="missing"),
        pytest.param(lambda: b"\xff\xd8 photo", "'{path}': found a file of another program; ", id="foreign"),
        pytest.param(lambda: file_of([], 2)[:-9], "'{path}': found a file that is not whole (", id="cut short"),
        pytest.param(lambda: file_of([[0.25] * 4]), "'{path}': found a localizer, which predicts no", id="localizer"),
        pytest.param(lambda: file_of([], 3), "of 3 classes, expected one of the catalog's 2; ", id="other classes"),
        pytest.param(
            lambda: file_with("mobilenetv3_small_050"),
            "boxes.method cam: backbone 'mobilenetv3_small_050': found layers between its last map and the class head",
            id="no mean of a map",
        ),
    ],
)
def test_refuses_what_has_no_class_maps(
    begun: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make_file: Callable[[], bytes] | None,
    complaint: str,
) -> None:
    path = tmp_path / "model.safetensors"
    if make_file is not None:
        path.write_bytes(make_file())
    with without_executor():
        assert begun.psol("boxes", *CAM, "--boxes.class_maps.classifier", str(path)) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert complaint.format(path=path) in told
    assert not (begun.run_dir / "boxes").exists()
    assert not (begun.run_dir / "maps").exists()


def test_refuses_a_localizer_beside_it(begun: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("boxes", "run"):
        assert begun.psol(command, *CAM, "--boxes.localizer.path", "some.safetensors") == 2
        (told,) = capsys.readouterr().err.splitlines()
        assert told.startswith(f"psol {command}: boxes.localizer: found settings beside boxes.method cam, ")


def test_wants_a_classifier_trained(begun: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(begun.run_dir / "classifier")
    assert begun.psol("boxes", *CAM) == 2
    assert "found no complete classifier; run `psol train classifier` first" in capsys.readouterr().err


class TestWholeRun:
    """`psol run`, of which nothing is done but written down."""

    @pytest.fixture
    def order(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        done: list[str] = []
        for name in ("index", "boxes", "predict"):
            monkeypatch.setattr(f"psol_ray.pipeline.{name}.{name}", lambda *_, name=name: done.append(name))
        for name in ("evaluate", "report"):
            monkeypatch.setattr(f"psol_ray.pipeline.run.{name}", lambda *_, name=name: done.append(name))
        monkeypatch.setattr("psol_ray.pipeline.train.train", lambda _, name: done.append(name))
        return done

    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            pytest.param(CAM, ["index", "classifier", "boxes", "localizer"], id="its own classifier first"),
            pytest.param(
                [*CAM, "--predict.models", "joint"], ["index", "classifier", "boxes", "joint"], id="then a joint one"
            ),
            pytest.param(
                [*GRAD_CAM, "--boxes.class_maps.classifier", "a file"],
                ["index", "boxes", "localizer", "classifier"],
                id="another's classifier",
            ),
            pytest.param([], ["index", "boxes", "localizer", "classifier"], id="ddt"),
            pytest.param(
                ["--boxes.method", "imported", "--boxes.imported.path", "."],
                ["index", "boxes", "localizer", "classifier"],
                id="somebody's boxes",
            ),
        ],
    )
    def test_order(self, begun: Run, order: list[str], flags: list[str], expected: list[str]) -> None:
        unused = ["--boxes.backbone", "no such"] if flags else []
        assert begun.psol("run", *flags, *unused) == 0
        assert order == [*expected, "predict", "evaluate", "report"]

    def test_refuses_a_backbone_without_cam_before_anything_is_trained(
        self, begun: Run, order: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.rmtree(begun.run_dir / "classifier")
        assert begun.psol("run", *CAM, "--classifier.backbone", "mobilenetv3_small_050") == 2
        assert "boxes.method cam: backbone 'mobilenetv3_small_050': found layers" in capsys.readouterr().err
        assert order == []

    def test_refuses_a_folder_of_boxes_that_is_not_there_before_anything_is_done(
        self, begun: Run, order: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        flags = ("--boxes.method", "imported", "--boxes.imported.path", "no such folder")
        assert begun.psol("run", *flags) == 2
        assert "boxes.imported.path: found no folder 'no such folder' on this machine" in capsys.readouterr().err
        assert order == []


@pytest.mark.slow
def test_psol_run_goes_on_to_the_scores(begun: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(begun.run_dir / "classifier")
    assert begun.psol("run", *CAM, "--localizer.epochs", "1") == 0
    assert len(RunDir(str(begun.run_dir)).stage("boxes").read(BOXES)) == 18
    metrics = json.loads((begun.run_dir / "metrics.json").read_text())
    assert metrics["pseudo_boxes"]["test"]["gt_known"] is not None
    swept, (low, high) = metrics["threshold_sweep"], metrics["intervals"]["threshold_sweep"]["max_box_acc"]
    assert "intervals" not in swept
    assert low <= swept["max_box_acc"] <= high
    assert "best threshold" in capsys.readouterr().out
