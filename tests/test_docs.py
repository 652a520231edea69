"""What the documents say can be typed: commands, flags, settings, scripts and links exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from psol_ray.cli import overview
from psol_ray.cli.fields import field_types, sections
from psol_ray.cli.parse import parse
from psol_ray.stages import COMMANDS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
DOCUMENTS += [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("*/*/README.md"))]
_BLOCKS = re.compile(r"^```.*?^```$|(?:^ {4}[^\n]*\n)+", re.M | re.S)
_VARIABLE = re.compile(r'^ *([A-Z]+)="(.*?)"', re.M | re.S)
_PSOL = re.compile(
    r"^(?:\S*/)?(?:psol(?= )|python -m pdb -m psol_ray\.cli|python jobs/psol\.py|python (?=jobs/run\.py)) ?"
)
# Where a command of psol is the end of another program's.
_SUBMITTED = re.compile(r"^ray job submit (?:--address \S+ )?--working-dir \. -- ")
_BATCH = re.compile(r"^sbatch (?:--\S+ )*deploy/slurm\.sh ")
# `source` was a section once.
_SETTING = re.compile(rf"(?:--)?((?:{'|'.join(sorted(sections() | {'source'}))})\.[a-z_.]*[a-z_])(?:[: ].*)?")
_FILES = (".csv", ".py", ".json", ".safetensors", ".parquet", ".yaml")


class Line(NamedTuple):
    """A command line, and the document that has it."""

    document: str
    text: str


def _commands() -> Iterator[Line]:
    """What code blocks and inline code say to type."""
    for path in DOCUMENTS:
        text = path.read_text()
        for block in _BLOCKS.findall(text):
            variables = {name: " ".join(value.split()) for name, value in _VARIABLE.findall(block)}
            for line in _VARIABLE.sub("", block).replace("\\\n", " ").splitlines():
                for name, value in variables.items():
                    line = line.replace(f"${name} ", f"{value} ")
                yield Line(path.name, _BATCH.sub("psol ", _SUBMITTED.sub("", " ".join(line.split()))))
        for code in _inline(text):
            yield Line(path.name, code)


def _inline(text: str) -> list[str]:
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", _BLOCKS.sub("", text))]


def _psol_lines() -> list[Line]:
    lines = [Line(line.document, _PSOL.sub("", line.text)) for line in _commands() if _PSOL.match(line.text)]
    # `psol train localizer | classifier` is a choice.
    choices = [
        Line(line.document, line.text.partition(" | ")[0].replace("jobs/run.py", "run").replace("COMMAND", "run"))
        for line in lines
    ]
    return list(dict.fromkeys(choices))


def test_there_are_commands_in_every_document_for_users() -> None:
    assert {line.document for line in _psol_lines()} >= {
        "README.md",
        "clusters.md",
        "evaluation.md",
        "training.md",
        "results.md",
    }
    named = {line.text.partition(" ")[0] for line in _psol_lines()}
    assert named >= COMMANDS.keys()


@pytest.mark.parametrize("line", _psol_lines(), ids=lambda line: f"{line.document}: psol {line.text}"[:80])
def test_a_command_line_is_accepted(
    line: Line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SHARED", "/shared")
    arguments = shlex.split(line.text, comments=True)
    if not arguments:
        return
    if arguments[0].startswith("-"):
        with pytest.raises(SystemExit):
            overview.show(["--help"])
        assert arguments[0] in capsys.readouterr().out
        return
    name, *rest = arguments
    assert name in COMMANDS
    if not rest or "--help" in rest:
        return
    # What a text leaves out because it has been said, or is the reader's own.
    own = ["--run_dir", "runs/own", "--data.root", "data/own"] if COMMANDS[name].sections else []
    if name == "train" and rest[0].startswith("-"):
        rest = ["localizer", *rest]
    parse([name, *own, *rest])


def _scripts() -> list[Line]:
    return [
        line for line in dict.fromkeys(_commands()) if re.match(r"python (benchmarks|experiments|docs)/", line.text)
    ]


@pytest.mark.parametrize("line", _scripts(), ids=lambda line: f"{line.document}: {line.text}"[:80])
def test_a_script_is_there_and_has_these_flags(line: Line) -> None:
    _, script, *arguments = shlex.split(line.text)
    source = (ROOT / script).read_text() + (ROOT / "benchmarks" / "data.py").read_text()
    assert all(f'"{word}"' in source for word in arguments if word.startswith("--"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_settings_in_inline_code_exist(path: Path) -> None:
    found = [match[1] for code in _inline(path.read_text()) if (match := _SETTING.fullmatch(code))]
    names = {name for name in found if not name.endswith(_FILES)}
    assert names <= field_types().keys() | sections()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", path.read_text()) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_line_is_longer_than_120_columns(path: Path) -> None:
    assert [number for number, line in enumerate(path.read_text().splitlines(), 1) if len(line) > 120] == []
