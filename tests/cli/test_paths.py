"""What is no path, and paths of a job that was submitted to a Ray cluster."""

from pathlib import Path

import pytest
from synthetic.logs import messages

from psol_ray.cli import main

NETWORK = ("--boxes.backbone", "test_resnet", "--boxes.weights", "random")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--run_dir", "", "--data.root", "d"), "run_dir: found nothing, expected a path"),
        (("--run_dir", "r", "--data.root", ""), "data.root: found nothing, expected a path"),
        (
            ("--run_dir", "s3:/b/r", "--data.root", "d"),
            "run_dir: found 's3:/b/r', expected a path or a URI; write s3://",
        ),
        (
            ("--run_dir", "r", "--data.root", "file:/d"),
            "data.root: found 'file:/d', expected a path or a URI; write file:",
        ),
    ],
)
def test_what_is_no_path_is_told(
    flags: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["index", *flags]) == 2
    assert capsys.readouterr().err.startswith(f"psol index: {told}")
    assert not list(tmp_path.iterdir())


def test_commands_without_images_want_no_folder_of_theirs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--run_dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("run `psol predict` first\n")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which such a job runs, and its environment."""
    folder = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_0123456789abcdef"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    return folder


@pytest.mark.parametrize("run_dir", ["runs/cub", "{package}/runs/cub"])
def test_results_are_not_written_into_its_package(
    package: Path, run_dir: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = run_dir.format(package=package)
    assert main(["boxes", "--run_dir", run_dir, "--data.root", "/data", *NETWORK]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"psol boxes: run_dir: found {run_dir!r} in a job that was submitted to Ray")
    assert line.endswith("give an absolute path that all machines see, or an s3:// URI")


def test_an_export_is_not_either(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert package.is_dir()
    assert main(["export", "--run_dir", "/runs/cub", "--export.out", "exported"]) == 2
    assert capsys.readouterr().err.startswith("psol export: export.out: found 'exported' in a job")


def test_images_that_were_uploaded_are_told_of(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (package / "images").mkdir()
    assert main(["boxes", "--run_dir", str(tmp_path / "run"), "--data.root", "images", *NETWORK]) == 2
    first, second = messages(capsys.readouterr().err)
    assert first.startswith("data.root: found 'images', which was uploaded with the job")
    assert second.endswith("run `psol index` first")


def test_elsewhere_a_relative_path_is_as_good_as_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    assert main(["boxes", "--run_dir", "run", "--data.root", "images", *NETWORK]) == 2
    assert capsys.readouterr().err.endswith("run `psol index` first\n")
