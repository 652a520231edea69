"""`psol import`: another project's boxes, and those that `psol export` wrote, as the boxes of a run."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from synthetic.configs import write_config
from synthetic.images import write_images

from psol_ray.formats.registry import WRITTEN
from psol_ray.pipeline.context import Context
from psol_ray.tables import CATALOG, RunDir

from .conftest import Run, boxes_of

BOXES = "boxes.csv"


def write_metadata(folder: Path, root: Path) -> Path:
    """wsolevaluation's files about the images of `write_images`, whose boxes are whole pixels."""
    with (root / BOXES).open(newline="") as file:
        boxes = {name: corners for name, *corners in list(csv.reader(file))[1:]}
    for split, images in (("train", "train/"), ("test", "val/")):
        names = [name for name in boxes if name.startswith(images)]
        texts = {
            "image_ids": names,
            "class_labels": [f"{name},{int('red' in name)}" for name in names],
            "image_sizes": ["{},{},{}".format(name, *Image.open(root / name).size) for name in names],
            "localization": [",".join([name, *boxes[name]]) for name in names],
        }
        (folder / split).mkdir(parents=True)
        for kind, lines in texts.items():
            (folder / split / f"{kind}.txt").write_text("\n".join(lines))
    return folder


def metrics_of(run: Run) -> dict:
    return json.loads((run.run_dir / "metrics.json").read_text())


def forbid_executor(patch: pytest.MonkeyPatch) -> None:
    """Fail where a command asks for a cluster, or for a stand-in."""
    patch.setattr(Context, "executor", property(lambda _: pytest.fail("asked for an executor")))


def times_of(run: Run) -> dict[str, int]:
    """When each part of its boxes was written."""
    return {path.name: path.stat().st_mtime_ns for path in (run.run_dir / "boxes").glob("*.parquet")}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with nothing but a catalog, made without Ray; do not change it."""
    folder = tmp_path_factory.mktemp("import")
    root = write_images(folder / "images", ["red", "blue"], train=3, val=2)
    data = {"root": str(root), "layout": "wsol", "metadata": str(write_metadata(folder / "metadata", root))}
    run = Run(write_config(folder, root, data=data), folder / "run", root)
    with pytest.MonkeyPatch.context() as patch:
        forbid_executor(patch)
        assert run.psol("index") == 0
    return run


@pytest.fixture
def begun(indexed: Run, tmp_path: Path) -> Run:
    shutil.copytree(indexed.run_dir, tmp_path / "run")
    return Run(indexed.config, tmp_path / "run", indexed.root)


def import_csv(run: Run, folder: Path, *flags: str) -> int:
    return run.psol("import", "--boxes.imported.path", str(folder), "--boxes.imported.format", "csv", *flags)


def test_a_catalog_of_metadata(indexed: Run) -> None:
    catalog = RunDir(str(indexed.run_dir)).stage("catalog").read(CATALOG)
    assert set(zip(catalog["label"].to_pylist(), catalog["class_name"].to_pylist(), strict=True)) == {
        (0, "blue"),
        (1, "red"),
    }
    sizes = zip(catalog["width"].to_pylist(), catalog["height"].to_pylist(), strict=True)
    assert list(sizes) == [Image.open(indexed.root / name).size for name in catalog["image_id"].to_pylist()]


def test_imported_boxes_are_scored(begun: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_csv(begun, begun.root) == 0
    assert "boxes: 10 images, 0 without foreground, 0 unreadable" in capsys.readouterr().out
    made_by = json.loads((begun.run_dir / "boxes/_SUCCESS").read_text())
    assert made_by["config"].keys() == {"method", "format", "boxes_hash"}
    assert (made_by["config"]["method"], made_by["config"]["format"]) == ("imported", "csv")
    assert made_by["inputs"].keys() == {"catalog"}
    assert (made_by["details"]["title"], made_by["details"]["method"]) == ("imported box", "imported")
    folders = [name.split("/")[0] for name in boxes_of(begun)["image_id"].to_pylist()]
    assert (folders.count("train"), folders.count("val")) == (6, 4)
    assert begun.psol("evaluate") == 0
    pseudo = metrics_of(begun)["pseudo_boxes"]
    assert (pseudo["train"]["gt_known"], pseudo["test"]["gt_known"]) == (1, 1)


def test_the_same_boxes_from_elsewhere_are_there_already(
    begun: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_csv(begun, begun.root) == 0
    written = times_of(begun)
    assert written.keys() == {"part-blue.parquet", "part-red.parquet"}
    (tmp_path / "copy").mkdir()
    header, *rows = (begun.root / BOXES).read_text().splitlines()
    (tmp_path / "copy" / BOXES).write_text("\n".join([header, *rows[::-1]]))
    forbid_executor(monkeypatch)
    assert import_csv(begun, tmp_path / "copy") == 0
    assert "boxes: complete already, 10 images" in capsys.readouterr().out
    assert times_of(begun) == written


def test_other_boxes_are_another_configuration(begun: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_csv(begun, begun.root) == 0
    train_only = [row for row in (begun.root / BOXES).read_text().splitlines() if not row.startswith("val/")]
    (tmp_path / BOXES).write_text("\n".join(train_only))
    assert import_csv(begun, tmp_path) == 2
    assert "boxes_hash: " in capsys.readouterr().err
    assert import_csv(begun, tmp_path, "--overwrite") == 0
    assert len(boxes_of(begun)) == 6
    assert begun.psol("evaluate") == 0
    assert metrics_of(begun)["pseudo_boxes"]["test"]["gt_known"] is None


def test_what_is_refused_leaves_no_trace(begun: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / BOXES).write_text("\n".join((begun.root / BOXES).read_text().splitlines()[:-2]))
    assert import_csv(begun, tmp_path) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told == (
        f"psol import: {tmp_path}: 2 images (val/blue/0.jpg, val/blue/1.jpg) of 4 test images without a box; add them,"
        " list those that cannot be read in unreadable.csv, or remove that split's boxes"
    )
    assert not (begun.run_dir / "boxes").exists()


def test_a_catalog_comes_first(begun: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(begun.run_dir / "catalog")
    assert import_csv(begun, begun.root) == 2
    assert "found no complete catalog; run `psol index` first" in capsys.readouterr().err


@pytest.mark.parametrize("name", WRITTEN)
def test_out_and_in_again(begun: Run, tmp_path: Path, name: str) -> None:
    assert import_csv(begun, begun.root) == 0
    flags = ["--export.table", "boxes", "--export.format", name, "--export.out", str(tmp_path / "out")]
    assert begun.psol("export", *flags) == 0
    shutil.copytree(begun.run_dir / "catalog", tmp_path / "other/catalog")
    other = Run(begun.config, tmp_path / "other", begun.root)
    flags = ["--boxes.imported.path", str(tmp_path / "out"), "--boxes.imported.format", name]
    assert other.psol("import", *flags) == 0
    assert other.psol("evaluate") == 0
    scored = [metrics_of(other)["pseudo_boxes"][split]["max_box_acc_v2"] for split in ("train", "test")]
    assert scored == [1, 1]
    made_by = json.loads((other.run_dir / "boxes/_SUCCESS").read_text())
    assert ("threshold" in made_by["config"]) == (name == "wsol_maps")


@pytest.mark.slow
def test_a_localizer_learns_from_imported_boxes(begun: Run, cluster: str) -> None:
    assert cluster
    boxes = ["--boxes.method", "imported", "--boxes.imported.path", str(begun.root)]
    assert begun.psol("run", *boxes, "--localizer.epochs", "1", "--predict.classifiers", "[]") == 0
    assert metrics_of(begun)["teacher"] == "imported box"
    assert metrics_of(begun)["pseudo_boxes"]["train"]["gt_known"] == 1
    assert metrics_of(begun)["localization"]["gt_known"] is not None


def test_metadata_means_nothing_to_other_layouts(
    begun: Run, cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cluster
    run = Run(begun.config, tmp_path / "folder", begun.root)
    assert run.psol("index", "--data.layout", "folder", "--data.metadata", "null") == 0
    made_by = json.loads((run.run_dir / "catalog/_SUCCESS").read_text())
    assert made_by["config"].keys() == {"layout", "max_pixels", "source"}
    capsys.readouterr()
    assert run.psol("index", "--data.layout", "folder") == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "beside data.layout folder, which has none; set data.layout to wsol, or leave it out" in told


def test_a_review_makes_another_runs_boxes(begun: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_csv(begun, begun.root) == 0
    fingerprint = json.loads((begun.run_dir / "boxes/_SUCCESS").read_text())["fingerprint"]
    before = boxes_of(begun).to_pylist()
    first, second, *_ = (row["image_id"] for row in before)
    said = [
        {"image_id": first, "verdict": "rejected"},
        {"image_id": second, "verdict": "corrected", "box": [1, 2, 30, 20]},
    ]
    review = {"format": "psol_ray review 1", "boxes": fingerprint, "images": said}
    (begun.run_dir / "review.json").write_text(json.dumps(review))
    reviewed = Run(begun.config, tmp_path / "reviewed", begun.root)
    shutil.copytree(begun.run_dir / "catalog", reviewed.run_dir / "catalog")
    flags = ("--boxes.imported.format", "review", "--boxes.imported.path", str(begun.run_dir))
    assert reviewed.psol("import", *flags) == 0
    assert "boxes: 10 images, 0 without foreground, 0 unreadable, 1 rejected" in capsys.readouterr().out
    rows = boxes_of(reviewed).to_pylist()
    assert rows[0]["status"] == "rejected"
    assert [rows[1][name] for name in ("x0", "y0", "x1", "y1")] == [1, 2, 30, 20]
    assert repr(rows[2:]) == repr(before[2:])
    assert reviewed.psol("evaluate") == 0
    assert metrics_of(reviewed)["images"]["unreadable"] == 0
    assert reviewed.psol("report") == 0
