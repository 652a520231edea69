"""Home folders and variables in settings."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from psol_ray.cli.expand import expand
from psol_ray.cli.parse import parse
from psol_ray.errors import UserError


@dataclass(frozen=True)
class Inner:
    root: str = "~/data"
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    names: list[str] = field(default_factory=lambda: ["$SCRATCH/a", "b"])
    nothing: str | None = None


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("SCRATCH", "/scratch")
    monkeypatch.delenv("NOWHERE", raising=False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("~/runs", "/home/ann/runs"),
        ("~", "/home/ann"),
        ("a/~/b", "a/~/b"),
        ("a~", "a~"),
        ("$SCRATCH/runs", "/scratch/runs"),
        ("s3://bucket/${SCRATCH}x", "s3://bucket//scratchx"),
        ("resnet50=~/w.pth", "resnet50=/home/ann/w.pth"),
        ("s3://bucket/a?x=~/b", "s3://bucket/a?x=~/b"),
        ("cost 5$", "cost 5$"),
        ("/a/$$SCRATCH/$$", "/a/$SCRATCH/$"),
        ("./~ann", "./~ann"),
        ("", ""),
    ],
)
def test_a_text(given: str, expected: str) -> None:
    assert expand(given) == expected


def test_a_section_with_lists_and_others() -> None:
    assert expand(Outer()) == Outer(Inner("/home/ann/data"), ["/scratch/a", "b"])


def test_a_variable_that_is_not_set_is_named_with_the_setting() -> None:
    with pytest.raises(UserError, match=r"^inner\.root: found '\$NOWHERE/x', and no variable NOWHERE"):
        expand(Outer(Inner("$NOWHERE/x")))


def test_a_home_of_nobody_is_no_folder_of_that_name() -> None:
    with pytest.raises(UserError, match=r"^inner\.root: found '~nobody.here/x', and no user of that name here"):
        expand(Outer(Inner("~nobody.here/x")))


def test_yaml_and_flags_are_alike(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("run_dir: ~/runs\ndata: {root: $SCRATCH/d}\n")
    config = parse(["index", "--config", str(file)]).config
    assert config is not None
    assert (config.run_dir, config.data.root) == ("/home/ann/runs", "/scratch/d")
    assert parse(["index", "--run_dir=~/runs", "--data.root=$SCRATCH/d"]).config == config
