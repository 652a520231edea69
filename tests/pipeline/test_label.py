"""`psol label`: from a folder to boxes in a format, in one command."""

import csv
import json
from pathlib import Path

import pytest
from synthetic.images import cut_short, write_images

from psol_ray.cli import main
from psol_ray.errors import UserError
from psol_ray.evaluation.quality import quality
from psol_ray.tables import BOXES, RunDir

DDT = ["--boxes.backbone", "test_resnet", "--boxes.weights", "random", "--boxes.input_size", "96"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_images(tmp_path_factory.mktemp("label") / "images", ["red", "blue"])
    (root / "boxes.csv").unlink()
    cut_short(root / "train/red/1.jpg")
    return root


def label(images: Path, out: Path, *flags: str) -> int:
    """Run `psol label` on it."""
    return main(["label", str(images), "--out", str(out), *DDT, "--data.max_unreadable", "0.5", *flags])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def labelled(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it has written, as CSV; do not change it."""
    out = tmp_path_factory.mktemp("label") / "out"
    assert label(images, out, "--format", "csv") == 0
    return out


def test_every_image_that_can_be_read_has_a_box(labelled: Path) -> None:
    boxed = {row["image_id"] for row in rows(labelled / "csv/boxes.csv")}
    assert len(boxed) == 17
    assert {row["image_id"] for row in rows(labelled / "csv/unreadable.csv")} == {"train/red/1.jpg"}
    assert (labelled / "run/report/index.html").is_file()


def test_a_second_call_does_nothing_but_what_is_missing(
    labelled: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (labelled / "csv/boxes.csv").read_text()
    assert label(images, labelled, "--format", "csv") == 0
    assert label(images, labelled, "--format", "psol_json") == 0
    told = capsys.readouterr().out
    assert told.count("boxes: complete already") == 2
    assert (labelled / "csv/boxes.csv").read_text() == before
    assert json.loads(next((labelled / "psol_json").rglob("*.json")).read_text())


def test_doubtful_boxes_are_left_out_counted_and_listed(
    labelled: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = RunDir(str(labelled / "run")).stage("boxes").read(BOXES)
    of_image = dict(zip(table["image_id"].to_pylist(), quality(table).tolist(), strict=True))
    del of_image["train/red/1.jpg"]
    least = sorted(of_image.values())[8]
    assert label(images, labelled, "--format", "csv", f"--min-quality={least}") == 0
    doubtful = {name for name, value in of_image.items() if value < least}
    assert f"or rejected: {len(doubtful)}, listed in left_out.csv" in capsys.readouterr().out
    assert {row["image_id"] for row in rows(labelled / "csv/left_out.csv")} == doubtful
    assert {row["image_id"] for row in rows(labelled / "csv/boxes.csv")} == set(of_image) - doubtful


def test_an_export_that_fails_leaves_the_earlier_one(
    labelled: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (labelled / "csv/boxes.csv").read_text()

    def fail(*_: object) -> None:
        raise UserError("the disk is full")

    monkeypatch.setattr("psol_ray.formats.csv._write_rows", fail)
    assert label(images, labelled, "--format", "csv") == 2
    assert "the disk is full" in capsys.readouterr().err
    assert (labelled / "csv/boxes.csv").read_text() == before
    assert not list(labelled.glob(".*"))


def test_images_that_come_with_boxes_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = write_images(tmp_path / "images", ["red", "blue"])
    assert label(images, tmp_path / "out", "--format", "csv") == 0
    assert "Pseudo boxes (DDT)" in capsys.readouterr().out
    assert (tmp_path / "out/run/report/index.html").is_file()


def test_what_somebody_else_has_put_there_stays(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv/mine.txt").write_text("mine")
    assert label(images, tmp_path, "--format", "csv") == 2
    assert "found something there" in capsys.readouterr().err
    assert (tmp_path / "csv/mine.txt").read_text() == "mine"


def test_short_flags_are_the_settings(capsys: pytest.CaptureFixture[str], images: Path, tmp_path: Path) -> None:
    assert main(["label", str(images), "--out", str(tmp_path), "--format", "xml"]) == 2
    assert "csv" in capsys.readouterr().err
    assert main(["label", str(images), "--out", "s3://bucket/labels"]) == 2
    assert "expected a folder on this machine" in capsys.readouterr().err
