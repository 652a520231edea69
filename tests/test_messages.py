"""What messages tell people to type exists, in every message that there is."""

import re
from pathlib import Path

import pytest

from psol_ray.cli.fields import field_types
from psol_ray.cli.parse import parse
from psol_ray.stages import COMMANDS

ROOT = Path(__file__).parents[1] / "psol_ray"
PLACEHOLDERS = {"{name}": "classifier"}
# The last two are flags of `ray start`.
OTHERS = {"config", "help", "overwrite", "skip", "version", "completion", "section.field", "num-cpus", "num-gpus"}
SHORT = {name for command in COMMANDS.values() for name in command.short}


def commands() -> list[str]:
    found = {text for path in ROOT.rglob("*.py") for text in re.findall(r"`psol ([a-z][^`|]*)`", path.read_text())}
    for placeholder, value in PLACEHOLDERS.items():
        found = {text.replace(placeholder, value) for text in found}
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_a_command_is_accepted(command: str) -> None:
    name, *rest = command.replace(" RUN ...", " run").replace(" RUN...", " run").split()
    needed = ["classifier"] if name in ("train", "serve", "label") and not rest else []
    settings = ["--run_dir", "run", "--data.root", "images"] if COMMANDS[name].sections else []
    assert parse([name, *settings, *needed, *rest]).command.name == name


def test_there_are_commands() -> None:
    assert {"index --overwrite", "boxes", "train classifier --overwrite"} <= set(commands())


def test_flags_are_settings() -> None:
    flags = {f for path in ROOT.rglob("*.py") for f in re.findall(r"(?<![\w{-])--([a-z][\w.-]*\w)", path.read_text())}
    assert "data.layout" in flags
    assert not flags - set(field_types()) - OTHERS - SHORT
