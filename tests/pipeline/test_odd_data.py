"""Boxes in another unit, and names that are no files' names, through the commands."""

import re
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from synthetic.configs import write_config
from synthetic.images import save, write_images
from synthetic.zoo import huge_png

from psol_ray.tables import BOXES, CATALOG, RunDir

from .conftest import Run

CLASSES = ["x/../../../../escaped", "a/b", "Cat", "cat", "..", "100%", "etc.", "n" * 300]


def advice_in(text: str) -> list[str]:
    """The flag that a message says to add."""
    flag = re.search(r"(--\S+) (\w+)", text)
    assert flag, text
    return [flag[1], flag[2]]


def test_boxes_as_fractions_are_told_and_the_flag_that_is_named_reads_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_images(tmp_path / "images", ["red", "blue"], train=4, val=2)
    header, *lines = (root / "boxes.csv").read_text().splitlines()
    shares = []
    for name, *corners in (line.split(",") for line in lines):
        width, height = Image.open(root / name).size
        sides = (width, height, width, height)
        shares.append(",".join([name, *(str(int(v) / side) for v, side in zip(corners, sides, strict=True))]))
    (tmp_path / "theirs").mkdir()
    for folder in (root, tmp_path / "theirs"):
        (folder / "boxes.csv").write_text("\n".join([header, *shares]))
    run = Run(write_config(tmp_path, root), tmp_path / "run", root)

    assert run.psol("index") == 2
    told = capsys.readouterr().err
    assert "boxes.csv: found 12 of 12 boxes smaller than a pixel" in told
    index_flag = advice_in(told)
    assert run.psol("index", *index_flag) == 0
    theirs = [*index_flag, "--boxes.imported.path", str(tmp_path / "theirs")]
    capsys.readouterr()
    assert run.psol("import", *theirs) == 2
    assert run.psol("import", *theirs, *advice_in(capsys.readouterr().err)) == 0

    pixels = {name: [float(v) for v in corners] for name, *corners in (line.split(",") for line in lines)}
    stages = RunDir(str(run.run_dir))
    for row in stages.stage("catalog").read(CATALOG).to_pylist():
        assert row["gt_boxes"] == [pytest.approx(pixels[row["image_id"]], rel=1e-5)]
    for row in stages.stage("boxes").read(BOXES).to_pylist():
        assert [row[name] for name in ("x0", "y0", "x1", "y1")] == pytest.approx(pixels[row["image_id"]], rel=1e-5)
    # Said or not, what a catalog was made from is part of what it is.
    assert run.psol("index") == 2


def test_any_name_of_a_class_is_a_file_of_the_run(tmp_path: Path) -> None:
    root = tmp_path / "deep/in/data"
    texts: dict[str, list[str]] = {name: [] for name in ("images", "image_class_labels", "train_test_split", "boxes")}
    for i in range(2 * len(CLASSES)):
        save(root / f"images/{i}.jpg", (60, 40))
        for name, value in zip(texts, (f"{i}.jpg", i // 2, i % 2, "10 5 40 30"), strict=True):
            texts[name].append(f"{i} {value}")
    texts["bounding_boxes"] = texts.pop("boxes")
    texts["classes"] = [f"{i} {name}" for i, name in enumerate(CLASSES)]
    for name, lines in texts.items():
        (root / f"{name}.txt").write_text("\n".join(lines))
    (root / "boxes.csv").write_text(
        "\n".join(["image_id,x0,y0,x1,y1", *(f"images/{i}.jpg,10,5,50,35" for i in range(2 * len(CLASSES)))])
    )
    run = Run(write_config(tmp_path, root, data={"root": str(root), "layout": "cub"}), tmp_path / "deep/run", root)
    before = {path for path in tmp_path.rglob("*") if run.run_dir not in path.parents}

    assert run.psol("index") == 0
    assert run.psol("import", "--boxes.imported.path", str(root)) == 0
    boxes = RunDir(str(run.run_dir)).stage("boxes")
    assert len(boxes.read(BOXES)) == 2 * len(CLASSES)
    assert len(boxes.parts()) == len({name.lower() for name in boxes.parts()}) == len(CLASSES)
    assert all(path.is_file() for path in (run.run_dir / "boxes").iterdir())
    assert {path for path in tmp_path.rglob("*") if run.run_dir not in path.parents} == before | {run.run_dir}
    for name in ("psol_json", "csv"):
        out = ["--export.table", "boxes", "--export.format", name, "--export.out", str(tmp_path / "deep/out" / name)]
        assert run.psol("export", *out) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"deep", run.config.name}


@pytest.mark.parametrize("path", ["../../secret.jpg", "/etc/secret.jpg", "a/../../secret.jpg", "a\\b.jpg"])
def test_an_image_outside_the_data_root_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    root = tmp_path / "data"
    for name, line in {
        "images": path,
        "image_class_labels": "1",
        "train_test_split": "1",
        "bounding_boxes": "0 0 9 9",
        "classes": "cat",
    }.items():
        root.mkdir(exist_ok=True)
        (root / f"{name}.txt").write_text(f"1 {line}\n")
    run = Run(write_config(tmp_path, root, data={"root": str(root), "layout": "cub"}), tmp_path / "run", root)
    assert run.psol("index") == 2
    assert "images.txt: found 1 paths" in capsys.readouterr().err


def test_large_images_in_shards_are_read_once_the_limit_is_raised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "data/c").mkdir(parents=True)
    (tmp_path / "data/c/a.png").write_bytes(huge_png(20_000, 10_000))
    with tarfile.open(tmp_path / "shards/train.tar", "w") as tar:
        tar.add(tmp_path / "data/c", "c")
    run = Run(write_config(tmp_path, tmp_path / "shards"), tmp_path / "run", tmp_path / "shards")
    assert run.psol("index", "--data.layout", "webdataset") == 3
    assert "1 of 1 files are no images that can be read (c/a.png)" in capsys.readouterr().err
    assert run.psol("index", "--data.layout", "webdataset", "--data.max_pixels", "200_000_000", "--overwrite") == 0
