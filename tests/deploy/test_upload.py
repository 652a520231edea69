"""`ray job submit --working-dir .` takes what a job needs, and neither images nor results."""

import subprocess
import zipfile
from pathlib import Path

import pytest
from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env.packaging import create_package

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that git has, and what working in them leaves there."""
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if files.returncode:
        pytest.skip("not a clone: which files belong to the project is not known")
    folder = tmp_path / "clone"
    for name in files.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    elsewhere = tmp_path / "elsewhere"
    for left in (
        folder / "data/imagenet/train/n01440764/1.JPEG",
        folder / "runs/imagenet/boxes/part-0.parquet",
        folder / ".venv/bin/python",
        folder / "psol_ray/__pycache__/config.cpython-311.pyc",
        elsewhere / "images/1.jpg",
    ):
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_bytes(b"left")
    (folder / "data/CUB_200_2011").symlink_to(elsewhere)
    return folder


def uploaded(folder: Path) -> set[str]:
    """What Ray packs, as `ray job submit` has it pack."""
    package = folder.parent / "package.zip"
    create_package(
        str(folder),
        package,
        include_gitignore=True,
        include_parent_dir=False,
        excludes=get_runtime_env_default_excludes(),
    )
    return {name for name in zipfile.ZipFile(package).namelist() if not name.endswith("/")}


def test_a_job_gets_the_package_and_its_scripts_alone(clone: Path) -> None:
    names = uploaded(clone)
    assert {"jobs/run.py", "jobs/psol.py", "jobs/imagenet.yaml", "psol_ray/report/paper.yaml"} <= names
    sources = {str(path.relative_to(clone)) for path in clone.glob("psol_ray/**/*.py")}
    assert sources <= names
    assert {name.partition("/")[0] for name in names if "/" in name} == {"jobs", "psol_ray"}


def test_no_image_result_or_environment_is_uploaded(clone: Path) -> None:
    assert not [name for name in uploaded(clone) if name.endswith((".JPEG", ".jpg", ".parquet", ".pyc", "bin/python"))]


def test_without_the_file_images_behind_a_link_would_be_uploaded(clone: Path) -> None:
    (clone / ".rayignore").unlink()
    assert "data/CUB_200_2011/images/1.jpg" in uploaded(clone)
