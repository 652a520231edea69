"""What `psol COMMAND --help` shows."""

import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from psol_ray.cli.fields import field_types
from psol_ray.cli.parse import make_parser, parse
from psol_ray.config import Config
from psol_ray.generators.registry import GENERATORS
from psol_ray.stages import COMMANDS, Command


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        parse([command, "--help"])
    assert left.value.code == 0
    return capsys.readouterr().out


def flags_of(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    flags = re.findall(r"^  (?:-h, )?--([\w.-]+)", help_of(command, capsys), re.MULTILINE)
    assert len(flags) == len(set(flags))
    return set(flags) - {"help", "config", "print_config"}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_shows_the_purpose_and_all_settings_of_the_command_alone(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.purpose in " ".join(help_of(command.name, capsys).split())
    used = {path for path in field_types() if any(f"{path}.".startswith(f"{part}.") for part in command.sections)}
    used = used - {*command.short.values()} | {*command.short}
    expected = {*used, *(["run_dir"] if command.in_run else [])} if command.sections else set()
    assert flags_of(command.name, capsys) - {"overwrite", "skip"} == expected


@pytest.mark.parametrize(
    ("command", "sections"),
    [
        ("index", {"data", "cluster"}),
        ("boxes", {"data", "boxes", "cluster"}),
        ("train", {"data", "seed", "localizer", "classifier", "joint", "cluster"}),
        ("evaluate", {"evaluate"}),
        ("report", {"data"}),
        ("export", {"export"}),
    ],
)
def test_sections_are_those_that_the_command_reads(
    command: str, sections: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert {flag.partition(".")[0] for flag in flags_of(command, capsys)} - {"run_dir", "overwrite", "skip"} == sections


def test_import_shows_of_boxes_what_is_about_imported_ones(capsys: pytest.CaptureFixture[str]) -> None:
    boxes = {flag for flag in flags_of("import", capsys) if flag.startswith("boxes")}
    names = ("path", "format", "coordinates", "threshold")
    assert boxes == {f"boxes.imported.{name}" for name in names}


@pytest.mark.parametrize(
    ("command", "shown"), [("boxes", True), ("train", True), ("evaluate", False), ("export", False)]
)
def test_overwrite_is_shown_where_it_does_something(
    command: str, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ("overwrite" in flags_of(command, capsys)) is shown


def test_every_generator_shows_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of("boxes", capsys)
    assert f"--boxes.method {{{','.join(GENERATORS)}}}" in shown
    for entry in GENERATORS.values():
        for setting in fields(entry.settings):
            prefix = f"boxes.{entry.section}." if entry.section else "boxes."
            assert re.search(rf"^  --{re.escape(prefix + setting.name)} ", shown, re.MULTILINE)


def test_every_setting_has_a_sentence_of_its_own() -> None:
    parser = make_parser(replace(COMMANDS["run"], sections=tuple(field.name for field in fields(Config))))
    sentences = {action.dest: action.help or "" for action in parser._actions if action.dest in field_types()}
    assert sentences.keys() == field_types().keys()
    for path, sentence in sentences.items():
        assert re.match(r"[A-Z].*\.$", sentence, re.DOTALL), path
        assert len(sentence.split()) > 3, path


def test_types_are_told_in_words_beside_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    shown = " ".join(help_of("run", capsys).split())
    assert "squashes images. (a whole number above 0; default: 448)" in shown
    assert "(a text; required)" in shown
    assert "(default: false)" in shown
    assert "PositiveInt" not in shown
    assert "Literal" not in shown


def test_train_and_paper_tables_show_what_they_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert help_of("train", capsys).startswith("usage: psol train MODEL [--config FILE.yaml] ")
    assert help_of("paper-tables", capsys).startswith("usage: psol paper-tables RUN [RUN ...]\n")


def test_a_generator_that_is_registered_shows_its_settings(tmp_path: Path) -> None:
    (tmp_path / "tokencut.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Settings:\n"
        '    """TokenCut (method tokencut)."""\n'
        "    tau: float = 0.2\n"
        '    """Similarity above which two patches are joined."""\n'
    )
    program = (
        "import sys; from typing import Literal; import tokencut; from psol_ray.generators import registry\n"
        "registry.GENERATORS['tokencut'] = registry.Entry(tokencut.Settings, 'tokencut', 'tokencut:TokenCut')\n"
        "registry.MethodName = Literal[tuple(registry.GENERATORS)]  # as the module itself does\n"
        "from psol_ray.cli import main; main(['boxes', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    shown = " ".join(done.stdout.split())
    assert "imported,tokencut}" in shown
    assert "TokenCut (method tokencut): --boxes.tokencut.tau TAU Similarity above which two patches are" in shown
