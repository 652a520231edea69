"""The run directory and the data as this machine has them."""

from pathlib import Path

import pyarrow.fs as pafs
import pytest
from synthetic.images import save, touch, write_images

from psol_ray.preflight import places
from psol_ray.preflight.places import check_data, check_run_dir, read_image, sample_images
from psol_ray.tables.folder import Folder


def test_images_are_drawn_from_all_folders_and_nothing_else_is(tmp_path: Path) -> None:
    root = write_images(tmp_path, ["red", "blue"])  # with boxes.csv
    touch(root, "train/red/notes.txt", "empty/deep/.hidden.jpg")
    paths = sample_images(str(root), 100, seed=0)
    assert set(paths) == {str(path) for path in root.rglob("[0-9].jpg")}
    assert len(sample_images(str(root), 5, seed=0)) == 5
    assert sample_images(str(root / "nowhere"), 5, seed=0) == []


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", (300, 300))
    assert read_image(str(path)) == path.stat().st_size


def test_rates_of_reading(tmp_path: Path) -> None:
    paths = sample_images(str(write_images(tmp_path, ["red"])), 9, seed=0)
    files, size = check_data(paths, wanted=0.001, needs="")
    assert files.verdict == size.verdict == "good"
    assert files.amount is not None
    assert size.amount is not None
    (slow, _) = check_data(paths, wanted=1e12, needs="the network may take 1e12")
    assert slow.verdict == "slow"
    assert "images a second are read there, and the network may take 1e12; put the data nearer" in slow.remedy


def test_images_that_are_not_there(tmp_path: Path) -> None:
    paths = sample_images(str(write_images(tmp_path, ["red"])), 9, seed=0)
    Path(paths[3]).unlink()
    (finding,) = check_data(paths, None, "")
    assert finding.verdict == "broken"
    assert f"images cannot be read there ({paths[3]}: No such file or directory); mount" in finding.remedy
    assert list(check_data([], None, "")) == []


def test_a_run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(pafs.LocalFileSystem(), str(tmp_path / "run"))
    (finding,) = check_run_dir(folder)
    assert finding.verdict == "good"
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(places, "_SLOW_WRITE_SECONDS", 0.0)
    (finding,) = check_run_dir(folder)
    assert finding.verdict == "slow"
    (finding,) = check_run_dir(Folder(pafs.LocalFileSystem(), "/proc/run"))
    assert finding.verdict == "broken"
    assert finding.remedy.startswith("/proc/run: ")
