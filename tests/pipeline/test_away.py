"""Images whose files cannot be opened while a stage wants them: a few are gone without, many stop it, none is `ok`."""

import json
import shutil
from pathlib import Path

import pytest

from psol_ray.tables import PREDICTIONS, RunDir

from .conftest import Run, assert_same_boxes, boxes_of

AWAY = ["train/red/3.jpg", "val/blue/0.jpg"]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psol_ray.work.perform._PAUSE_SECONDS", 0.0)


@pytest.fixture
def mine(whole: Run, tmp_path: Path) -> Run:
    """A copy of `whole` with images of its own."""
    shutil.copytree(whole.run_dir, tmp_path / "run")
    shutil.copytree(whole.root, tmp_path / "images")
    # The same settings, whose data root is said by a flag.
    return Run(whole.config, tmp_path / "run", tmp_path / "images")


def psol(run: Run, command: str, *flags: str) -> int:
    return run.psol(command, "--data.root", str(run.root), *flags)


def last_line(capsys: pytest.CaptureFixture[str], command: str) -> str:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"psol {command}: ")][-1]


def statuses(run: Run) -> dict[str, str]:
    rows = boxes_of(run)
    return dict(zip(rows["image_id"].to_pylist(), rows["status"].to_pylist(), strict=True))


def test_boxes_and_predictions_go_on_without_a_few_images_and_say_so_each_time(
    mine: Run, whole: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage in ("boxes", "predictions"):
        shutil.rmtree(mine.run_dir / stage)
    for name in AWAY:
        (mine.root / name).rename(mine.root / f"{name}.away")
    for _ in range(2):  # made, and found complete
        assert psol(mine, "boxes") == 3
        assert last_line(capsys, "boxes") == (
            "psol boxes: done, but not whole: boxes: 2 of 18 images could not be opened (val/blue/0.jpg,"
            " train/red/3.jpg: No such file or directory); put them back and run `psol boxes --overwrite`"
        )
        assert psol(mine, "predict") == 3
        assert last_line(capsys, "predict") == (
            "psol predict: done, but not whole: predictions: 1 of 6 images could not be opened (val/blue/0.jpg: No"
            " such file or directory); put them back and run `psol predict --overwrite`"
        )
    assert {image for image, status in statuses(mine).items() if status == "missing"} == set(AWAY)
    before = boxes_of(whole).select(["image_id", "width", "height"])
    assert boxes_of(mine).select(["image_id", "width", "height"]).equals(before)
    predictions = RunDir(str(mine.run_dir)).stage("predictions").read(PREDICTIONS).to_pylist()
    assert {row["image_id"] for row in predictions if not row["top_labels"]} == {"val/blue/0.jpg", "val/blue/2.jpg"}
    summary = json.loads((mine.run_dir / "boxes" / "_SUCCESS").read_text())["summary"]
    assert (summary["unreadable"], summary["missing"]) == (2, 2)
    # What comes after takes such a table: an image without a box is wrong.
    assert psol(mine, "evaluate") == 0
    assert json.loads((mine.run_dir / "metrics.json").read_text())["images"]["unreadable"] == 4
    assert psol(mine, "report") == 0
    assert psol(mine, "export", "--export.out", str(mine.run_dir / "out")) == 0


def test_a_data_set_that_is_away_stops_the_boxes_and_the_same_command_goes_on_once_it_is_back(
    mine: Run, whole: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(mine.run_dir / "boxes")
    (mine.root / "train").rename(mine.root / "elsewhere")
    (mine.root / "train").mkdir()  # an empty mount point
    assert psol(mine, "boxes") == 2
    told = last_line(capsys, "boxes")
    assert "12 of 18 images cannot be opened" in told
    assert told.endswith("put them back, and the same command goes on from here")
    assert not (mine.run_dir / "boxes" / "_SUCCESS").exists()
    (mine.root / "train").rmdir()
    (mine.root / "elsewhere").rename(mine.root / "train")
    assert psol(mine, "boxes") == 0
    assert_same_boxes(mine, whole)


def test_many_files_that_are_no_images_are_a_gap(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for stage in ("boxes", "predictions"):
        shutil.rmtree(copy.run_dir / stage)
    for _ in range(2):
        assert copy.psol("boxes", "--data.max_unreadable", "0.1") == 3
        assert last_line(capsys, "boxes") == (
            "psol boxes: done, but not whole: boxes: 2 of 18 images could be read and not be decoded (val/blue/2.jpg,"
            " train/red/1.jpg), more than data.max_unreadable (0.1) allows; put whole files in their place and run"
            " `psol boxes --overwrite`"
        )
        assert copy.psol("predict", "--data.max_unreadable", "0.1") == 3
        assert "predictions: 1 of 6 images could be read and not be decoded (val/blue/2.jpg)" in last_line(
            capsys, "predict"
        )


@pytest.mark.parametrize(("stage", "command"), [("boxes", "boxes"), ("predictions", "predict")])
def test_a_stage_whose_parts_are_elsewhere_is_not_complete(
    copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stage: str, command: str
) -> None:
    """As where workers write to a folder of the same name on their own machine."""
    shutil.rmtree(copy.run_dir / stage)
    monkeypatch.setattr("psol_ray.work.perform.PartWriter.write", lambda *_: None)
    assert copy.psol(command) == 2
    assert f"are not in {copy.run_dir}/{stage} as this machine sees it; expected a run_dir" in last_line(
        capsys, command
    )
    assert not (copy.run_dir / stage / "_SUCCESS").exists()


def test_a_part_that_lacks_a_row_is_not_complete(
    copy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copy.run_dir / "boxes")
    monkeypatch.setattr(
        "psol_ray.work.perform.PartWriter.write",
        lambda self, name, parts: self.stages["boxes"][0].write_part(name, parts["boxes"][1:], self.stages["boxes"][1]),
    )
    assert copy.psol("boxes") == 2
    assert (
        f"found 16 rows in {copy.run_dir}/boxes, expected one for each of 18 images (train/blue/0.jpg, train/red/0.jpg"
        " without one); make it anew with `psol boxes --overwrite`"
    ) in last_line(capsys, "boxes")
