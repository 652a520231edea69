"""`psol` without a command."""

import subprocess
import sys
from pathlib import Path

import pytest

from psol_ray import __version__
from psol_ray.cli import main
from psol_ray.stages import COMMANDS


def complete(script: str, *words: str) -> list[str]:
    """What bash would offer for the last word."""
    program = (
        'source /dev/stdin; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_psol; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", program, "bash", *words], input=script, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([], ["found no command", "index", "boxes", "psol --help"], id="no command"),
        pytest.param(["indx"], ["found the command 'indx'", "index", "paper-tables"], id="no such command"),
        pytest.param(["--verbose"], ["--verbose: found an unknown flag"], id="no such flag"),
        pytest.param(["--verbose", "boxes"], ["--verbose: found an unknown flag"], id="flag before a command"),
        pytest.param(["--completion", "fish"], ["--completion: ", "bash"], id="no such shell"),
        pytest.param(["--completion"], ["--completion: expected one argument"], id="no shell"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("psol: ")
    assert shown.err.count("\n") == 1
    assert all(word in shown.err for word in words), shown.err


def test_help_lists_every_command_with_its_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    positions = [shown.index(f" {command.name} {command.purpose}") for command in COMMANDS.values()]
    assert positions == sorted(positions)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.fixture(scope="module")
def script() -> str:
    pytest.importorskip("shtab", reason="shtab, which writes the script, is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "psol_ray.cli", "--completion", "bash"], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["psol", "ev"], ["evaluate"]),
        (["psol", "boxes", "--boxes.class"], ["--boxes.class_maps.classifier", "--boxes.class_maps.threshold"]),
        (["psol", "boxes", "--localizer"], []),
        (["psol", "export", "--export.format", "ps"], ["psol_json"]),
        (["psol", "train", "j"], ["joint"]),
    ],
)
def test_bash_offers_commands_settings_and_choices(script: str, words: list[str], offered: list[str]) -> None:
    assert complete(script, *words) == offered


def test_bash_offers_files_of_settings(script: str, tmp_path: Path) -> None:
    (tmp_path / "my_run.yaml").touch()
    assert complete(script, "psol", "run", "--config", f"{tmp_path}/my") == [f"{tmp_path}/my_run.yaml"]


def test_zsh_has_a_script_too(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="shtab, which writes the script, is not installed")
    assert main(["--completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef psol")
