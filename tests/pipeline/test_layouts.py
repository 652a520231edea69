"""Runs on images in whatever layout: recognised and told, the same run as with the name, and like any other after."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from catalog.annotated import Sample, samples_of, write_coco, write_list, write_voc, write_yolo
from synthetic.configs import write_config
from synthetic.images import save, write_images

from psol_ray.cli import main
from psol_ray.tables import CATALOG, RunDir

from .conftest import Run

WRITERS = {"coco": write_coco, "yolo": write_yolo, "voc": write_voc, "list": write_list}
ANNOTATED = {
    "coco": "annotations/instances_train2017.json",
    "yolo": "data.yaml",
    "voc": "ImageSets/Main/train.txt",
    "list": "images.csv",
}


def run_on(folder: Path, root: Path) -> Run:
    return Run(write_config(folder, root), folder / "run", root)


def fingerprint(run: Run) -> str:
    return RunDir(str(run.run_dir)).stage("catalog").require().fingerprint


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return samples_of("folder", write_images(tmp_path_factory.mktemp("made"), ["red", "blue"], train=3, val=2))


def test_auto_and_the_name_are_the_same_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_on(tmp_path, write_images(tmp_path / "images", ["red", "blue"], train=2, val=1))
    assert run.psol("index", "--data.layout", "auto") == 0
    assert "layout: folder (train/, val/)" in capsys.readouterr().out.splitlines()
    for flags in ((), ("--data.layout", "folder"), ("--data.layout", "auto")):
        assert run.psol("index", *flags) == 0
        out = capsys.readouterr().out
        assert "complete already" in out
        assert "layout:" not in out
    assert yaml.safe_load((run.run_dir / "config.yaml").read_text())["data"]["layout"] == "folder"
    other = Run(run.config, tmp_path / "named", run.root)
    assert other.psol("index", "--data.layout", "folder") == 0
    assert fingerprint(other) == fingerprint(run)
    assert main(["status", str(run.run_dir)]) == 0
    assert "(layout folder)" in capsys.readouterr().out


def test_a_run_stays_what_it_is_though_another_layout_is_seen_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_on(tmp_path, tmp_path / "images")
    for split in ("train", "val"):
        save(run.root / f"{split}/n01440764/{split}.png", (40, 30))
    assert run.psol("index", "--data.layout", "folder") == 0
    assert run.psol("index") == 0
    assert "complete already" in capsys.readouterr().out
    assert run.psol("index", "--overwrite") == 0
    assert "layout: imagenet (train/n01440764/)" in capsys.readouterr().out


@pytest.mark.parametrize("layout", WRITERS)
def test_a_catalog_of_annotated_images_is_told_to_be_stale_packed_and_indexed_again(
    tmp_path: Path, samples: list[Sample], layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_on(tmp_path, WRITERS[layout](tmp_path / "data", samples))
    assert run.psol("index") == 0
    assert f"layout: {layout} (" in capsys.readouterr().out
    before = RunDir(str(run.run_dir)).stage("catalog").read(CATALOG)
    assert run.psol("index") == 0
    assert "complete already" in capsys.readouterr().out
    assert run.psol("plan") == 0
    assert run.psol("pack", "--pack.out", str(tmp_path / "shards")) == 0
    shards = Run(run.config, tmp_path / "packed", tmp_path / "shards")
    assert shards.psol("index", "--data.root", str(tmp_path / "shards")) == 0
    assert "layout: webdataset (psol.parquet)" in capsys.readouterr().out
    assert RunDir(str(shards.run_dir)).stage("catalog").read(CATALOG).equals(before)
    victim = run.root / before["image_id"][0].as_py()
    victim.unlink()
    save(victim, (40, 30), format="JPEG")
    assert run.psol("index") == 2
    assert f"1 images changed ({before['image_id'][0]})" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layout", "change", "told"),
    [
        ("coco", lambda text: re.sub(r'"bbox": \[\d', '"bbox": [1', text), "instances_train2017.json changed"),
        ("list", lambda text: text.replace("train_red_0.jpg,", "train_red_0.jpg,1", 1), "images.csv changed"),
        ("yolo", lambda text: text.replace("red", "green"), "other classes|data.yaml changed"),
        ("voc", lambda text: text.replace("train_red_0\n", ""), "1 images removed.*train.txt changed"),
    ],
)
def test_annotations_that_changed_are_told_of(
    tmp_path: Path,
    samples: list[Sample],
    layout: str,
    change: Callable[[str], str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = run_on(tmp_path, WRITERS[layout](tmp_path / "data", samples))
    assert run.psol("index") == 0
    file = run.root / ANNOTATED[layout]
    file.write_text(change(file.read_text()))
    capsys.readouterr()
    assert run.psol("index") == 2
    assert re.search(f"found other data than those .*{told}", capsys.readouterr().err)
    assert run.psol("index", "--overwrite") == 0


def test_what_is_left_out_of_annotations_ends_with_exit_code_3_each_time(
    tmp_path: Path, samples: list[Sample], capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_on(tmp_path, write_list(tmp_path / "data", samples))
    with (run.root / "images.csv").open("a") as file:
        file.write("red,photos/gone.jpg,,,,,train\nred,,1,2,3,4,train\n")
    for _ in range(2):
        assert run.psol("index") == 3
        told = capsys.readouterr()
        assert "left out 1 rows without a path (row 12)" in told.err
        assert "1 images cannot be opened and count as unreadable (photos/gone.jpg)" in told.err
    assert run.psol("index", "--overwrite", "--data.max_unreadable", "0.01") == 2
    assert "images cannot be opened (photos/gone.jpg: No such file or directory on" in capsys.readouterr().err


def test_a_folder_that_fits_none_is_refused_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_on(tmp_path, tmp_path / "images")
    save(run.root / "train/1.png", (9, 9))
    for command in ("index", "plan", "run"):
        assert run.psol(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "found 1 images (1.png) in train and no folders of classes there" in line
    assert run.psol("doctor") == 2
    assert "found no layout of images that can be read" in capsys.readouterr().out


def test_boxes_of_one_folder_of_one_class(tmp_path: Path, samples: list[Sample]) -> None:
    run = run_on(tmp_path, tmp_path / "photos")
    for i, each in enumerate(samples):
        save(run.root / f"{i}.png", each.size)
    assert run.psol("index") == 0
    assert run.psol("boxes") == 0
    assert [path.name for path in (run.run_dir / "boxes").glob("*.parquet")] == ["part-photos.parquet"]
