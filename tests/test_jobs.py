"""The scripts and settings in jobs/ are what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

from psol_ray.cli.parse import parse
from psol_ray.models.backbones import find_backbone
from psol_ray.stages import COMMANDS

ROOT = Path(__file__).parents[1]
JOBS = ROOT / "jobs"


def run_script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(JOBS / name), *arguments], capture_output=True, text=True, cwd=ROOT)


def test_run_py_is_psol_run() -> None:
    done = run_script("run.py", "--help")
    assert done.returncode == 0
    assert COMMANDS["run"].purpose in " ".join(done.stdout.split())


def test_psol_py_runs_any_command_and_returns_its_exit_code(tmp_path: Path) -> None:
    done = run_script("psol.py", "--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    done = run_script("psol.py", "evaluate", "--run_dir", str(tmp_path / "run"))
    assert done.returncode == 2
    assert done.stderr.startswith("psol evaluate: ")


@pytest.mark.parametrize(
    ("name", "layout"), [("demo", "demo"), ("cub", "cub"), ("cub_laptop", "cub"), ("imagenet", "imagenet")]
)
def test_settings_are_accepted_and_name_real_backbones(name: str, layout: str) -> None:
    config = parse(["run", "--config", str(JOBS / f"{name}.yaml")]).config
    assert config is not None
    assert config.data.layout == layout
    for section in (config.boxes, config.localizer, config.classifier, config.joint):
        assert find_backbone(section.backbone).name == section.backbone


def test_one_file_of_settings_serves_every_command() -> None:
    file = str(JOBS / "cub_laptop.yaml")
    expected = parse(["run", "--config", file]).config
    for command in COMMANDS.values():
        if command.sections:
            argument = ["localizer"] if command.argument else []
            assert parse([command.name, *argument, "--config", file]).config == expected
