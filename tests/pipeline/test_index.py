"""`psol index`: a catalog of the data as they are, noticed to be stale, and what its messages say to type."""

import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from synthetic.configs import write_config
from synthetic.images import save, write_images

from psol_ray.catalog.headers import read_sizes
from psol_ray.in_process import InProcess
from psol_ray.tables import CATALOG, RunDir

from .conftest import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Ten images of two classes, and no catalog yet."""
    root = write_images(tmp_path / "images", ["red", "blue"], train=3, val=2)
    return Run(write_config(tmp_path, root), tmp_path / "run", root)


def catalog_of(run: Run) -> dict[str, tuple[int, int]]:
    """Sizes by image."""
    table = RunDir(str(run.run_dir)).stage("catalog").read(CATALOG)
    names = ("image_id", "width", "height")
    return {image_id: (w, h) for image_id, w, h in zip(*(table[name].to_pylist() for name in names), strict=True)}


def fingerprint_of(run: Run) -> str:
    return RunDir(str(run.run_dir)).stage("catalog").require().fingerprint


def add_class(root: Path) -> None:
    for split in ("train", "val"):
        save(root / split / "green/0.jpg", (50, 40))


def rename(root: Path) -> None:
    (root / "val/red/0.jpg").rename(root / "val/red/z.jpg")
    csv = root / "boxes.csv"
    csv.write_text(csv.read_text().replace("val/red/0.jpg", "val/red/z.jpg"))


def write_solution(root: Path, corners: str) -> None:
    rows = "".join(f"{i},red {corners if i == 'v0' else '1 1 9 9'}\n" for i in ("v0", "v1"))
    (root / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + rows)


STRICT = ("--data.max_unreadable", "0.01")  # as it is by default, and not in the tests


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(add_class, r"2 images added \(train/green/0.jpg, val/green/0.jpg\)", id="a class"),
        pytest.param(
            lambda root: save(root / "val/red/0.jpg", (9, 9)), r"1 images changed \(val/red/0.jpg\)", id="an image"
        ),
        pytest.param(
            rename,
            r"1 images added \(val/red/z.jpg\); 1 images removed \(val/red/0.jpg\); boxes.csv changed",
            id="a name",
        ),
        pytest.param(lambda root: (root / "boxes.csv").unlink(), "boxes.csv removed", id="annotations"),
    ],
)
def test_data_that_changed_are_told_of_and_indexed_anew_as_the_message_says(
    run: Run, capsys: pytest.CaptureFixture[str], change: Callable[[Path], object], told: str
) -> None:
    assert run.psol("index") == 0
    before = fingerprint_of(run)
    change(run.root)
    capsys.readouterr()
    for command in ("index", "run") if change is add_class else ("index",):  # `run` loads what takes seconds
        assert run.psol(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert re.search(f"found other data than those that {run.run_dir}/catalog was made from \\({told}\\)", line)
        assert line.endswith("use another run_dir, or --overwrite to make it anew")
    assert not (run.run_dir / "boxes").exists()
    assert run.psol("index", "--run_dir", f"{run.run_dir}2") == 0
    assert run.psol("index", "--overwrite") == 0
    files = {str(path.relative_to(run.root)) for path in run.root.glob("*/*/*")}
    assert catalog_of(run).keys() == files
    # No box and no network is made of the ground truth.
    assert (fingerprint_of(run) == before) == ("boxes.csv removed" in told)
    assert run.psol("index") == 0
    assert "complete already" in capsys.readouterr().out


def test_overwrite_makes_anew_what_is_complete(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.psol("index") == 0
    part = run.run_dir / "catalog/part-00000.parquet"
    before = part.stat().st_ino
    assert run.psol("index", "--overwrite") == 0
    assert "complete already" not in capsys.readouterr().out
    assert part.stat().st_ino != before


def test_a_root_is_known_however_it_is_spelt(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to("images")
    monkeypatch.chdir(tmp_path)
    assert run.psol("index", "--data.root", "images") == 0
    for root in ("images/", "./images", str(run.root), f"{run.root}/", "link", "../" + tmp_path.name + "/images"):
        assert run.psol("index", "--data.root", root) == 0, root
    assert capsys.readouterr().out.count("complete already") == 6
    shutil.copytree(run.root, tmp_path / "elsewhere/copy")
    assert run.psol("index", "--data.root", "elsewhere/copy") == 0
    write_images(tmp_path / "other/images", ["red", "blue"], train=4, val=2)
    monkeypatch.chdir(tmp_path / "other")
    assert run.psol("index", "--data.root", "images") == 2
    assert "2 images added (train/blue/3.jpg, train/red/3.jpg)" in capsys.readouterr().err


def test_a_catalog_of_another_layout_or_version_is_told_of(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.psol("index") == 0
    assert run.psol("index", "--data.layout", "imagenet") == 2
    assert '(layout: "folder" there, "imagenet" now); use another run_dir, or --overwrite' in capsys.readouterr().err
    success = run.run_dir / "catalog/_SUCCESS"
    success.write_text(success.read_text().replace('"details": {', '"details": {}, "kept_no_more": {'))
    assert run.psol("index") == 2
    assert "found a catalog that does not say what it was made from" in capsys.readouterr().err
    assert run.psol("index", "--overwrite") == 0


def test_mended_annotations_are_evaluated_once_indexed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "images"
    for name in ("train/red/t0.JPEG", "train/red/t1.JPEG", "val/v0.JPEG", "val/v1.JPEG"):
        save(root / name, (40, 30))
    write_solution(root, "9 9 1 1")
    run = Run(write_config(tmp_path, root, data={"root": str(root), "layout": "imagenet"}), tmp_path / "run", root)
    boxes = "".join(f"{path.relative_to(root)},1,1,9,9\n" for path in root.rglob("*.JPEG"))
    (tmp_path / "boxes.csv").write_text("image_id,x0,y0,x1,y1\n" + boxes)
    for _ in range(2):  # made now, and before
        assert run.psol("index") == 3
        told = capsys.readouterr().err
        assert "done, but not whole: catalog: left out 1 of 2 boxes that are inside out or outside their" in told
        assert "(9, 9, 1, 1 of val/v0.JPEG with 40 x 30); mend the annotations, and run `psol index --ov" in told
    assert run.psol("import", "--boxes.imported.path", str(tmp_path), "--boxes.imported.format", "csv") == 0
    assert run.psol("evaluate") == 0
    write_solution(root, "1 1 9 9")
    assert run.psol("index") == 2
    assert "(LOC_val_solution.csv changed), expected the same" in capsys.readouterr().err
    assert run.psol("index", "--overwrite") == 0
    assert run.psol("evaluate") == 0


def test_what_is_passed_over_is_counted_by_reason(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train/red/a.txt", "train/red/b.TXT", "train/red/c.xml", "val/red/.hidden.jpg", "@eaDir/red/1.jpg"):
        (run.root / name).parent.mkdir(parents=True, exist_ok=True)
        (run.root / name).touch()
    (run.root / "test/red").mkdir(parents=True)
    os.mkfifo(run.root / "train/red/[bold]pipe.jpg")
    assert run.psol("index") == 0
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert "10 images, 2 classes, 0 unreadable, 7 passed over" in first
    assert second == (
        "catalog: val is the test split; passed over: 3 with other suffixes (.txt 2, .xml), 1 hidden, 1 left behind by"
        " other programs (@eaDir), 1 pipes, sockets or devices ([bold]pipe.jpg), 1 folders that are not read (test)"
    )


def test_files_that_are_no_images_are_a_gap_above_a_share(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("0", "1"):
        (run.root / f"train/red/{name}.jpg").write_bytes(b"404: not found")
    assert run.psol("index", "--data.max_unreadable", "0.2") == 0
    capsys.readouterr()
    for flags in (STRICT, (*STRICT, "--overwrite")):  # made before, or now
        assert run.psol("index", *flags) == 3
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith("psol index: done, but not whole: catalog: 2 of 10 files are no images that can be read")
        assert "(train/red/0.jpg, train/red/1.jpg), more than 1.0% (data.max_unreadable)" in told
    save(run.root / "train/red/0.jpg", (9, 9))
    (run.root / "train/red/1.jpg").unlink()
    csv = run.root / "boxes.csv"
    csv.write_text("\n".join(line for line in csv.read_text().splitlines() if "train/red/1" not in line) + "\n")
    assert run.psol("index", "--overwrite") == 0


def hide(run: Run, *names: str) -> None:
    """Have images be links to where nothing is, as when a disk is not mounted."""
    for name in names:
        (run.root / name).rename(run.root.parent / f"{name.replace('/', '_')}")
        (run.root / name).symlink_to(run.root.parent / f"mount/{name.replace('/', '_')}")


def test_images_that_are_away_stop_the_index_above_a_share(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    hide(run, "train/red/0.jpg", "val/blue/1.jpg")
    assert run.psol("index", *STRICT) == 2
    told = capsys.readouterr().err
    assert f"data.root {run.root}: 2 images cannot be opened (train/red/0.jpg, val/blue/1.jpg: No such file" in told
    assert f"directory on {socket.gethostname()}), expected no more than 1.0% of 10 (data.max_unreadable)" in told
    assert not run.run_dir.exists()
    assert run.psol("index", "--data.max_unreadable", "0.2") == 3
    told = capsys.readouterr()
    assert "10 images, 2 classes, 0 unreadable, 2 away" in told.out
    assert "2 images cannot be opened and count as unreadable (train/red/0.jpg, val/blue/1.jpg)" in told.err
    assert catalog_of(run)["train/red/0.jpg"] == (0, 0)
    assert run.psol("index", "--data.max_unreadable", "0.2") == 3  # complete already, and not whole
    # Brought back, and made anew, as the message says.
    (run.root.parent / "mount").mkdir()
    for name in ("train_red_0.jpg", "val_blue_1.jpg"):
        (run.root.parent / name).rename(run.root.parent / "mount" / name)
    assert run.psol("index", *STRICT) == 2
    assert "2 images there again (train/red/0.jpg, val/blue/1.jpg)" in capsys.readouterr().err
    assert run.psol("index", "--overwrite") == 0
    assert min(catalog_of(run)["train/red/0.jpg"]) > 0


def test_images_that_only_other_machines_lack(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = ["train/red/0.jpg"]

    def read_elsewhere(_: InProcess, root: str, image_ids: list[str], max_pixels: int) -> np.ndarray:
        sizes_N2 = read_sizes(root, image_ids, max_pixels)
        sizes_N2[np.isin(image_ids, lost)] = -1
        return sizes_N2

    monkeypatch.setattr(InProcess, "read_sizes", read_elsewhere)
    assert run.psol("index", *STRICT) == 2
    told = capsys.readouterr().err
    assert f"(train/red/0.jpg: on another machine of the cluster; on {socket.gethostname()} they can)" in told
    # A few are tried here.
    assert run.psol("index", "--data.max_unreadable", "0.1") == 0
    assert min(catalog_of(run)["train/red/0.jpg"]) > 0


def test_annotations_of_images_of_another_size_are_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    (run.root / "bbox/val").mkdir(parents=True)
    for path in list((run.root / "val").glob("*/*.jpg")):
        name = path.parent.name
        path.rename(path.with_name(f"{name}_{path.name}"))
        size, found = (
            "<size><width>500</width><height>375</height></size>",
            f"<object><name>{name}</name>{box}</object>",
        )
        (run.root / f"bbox/val/{name}_{path.stem}.xml").write_text(f"<annotation>{size}{found}</annotation>")
    assert run.psol("index", "--data.layout", "imagenet") == 2
    assert "bbox/val: found sizes that are not the images' for 4 (" in capsys.readouterr().err.replace("\n", " ")
