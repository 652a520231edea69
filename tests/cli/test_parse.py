"""YAML and flags into settings, and one sentence for each mistake."""

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from psol_ray.cli.parse import COMMANDS, parse
from psol_ray.config import Config, DataConfig, TrainConfig, result_settings
from psol_ray.errors import UserError


def write(folder: Path, text: str = "run_dir: runs/a\ndata:\n  root: images\n", more: str = "") -> str:
    path = folder / "config.yaml"
    path.write_text(text + more)
    return str(path)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_defaults_are_those_of_the_dataclasses(command: str, tmp_path: Path) -> None:
    model = ["localizer"] if command == "train" else []
    invocation = parse([command, "--config", write(tmp_path), *model])
    assert invocation.command == command
    assert invocation.model == ("localizer" if model else None)
    assert invocation.overwrite is False
    assert invocation.config == Config("runs/a", DataConfig("images"))


def test_flags_win_over_yaml(tmp_path: Path) -> None:
    config = write(tmp_path, more="boxes: {input_size: 100, upsample: nearest}\nseed: 3\n")
    invocation = parse(["boxes", "--config", config, "--boxes.input_size", "50", "--overwrite"])
    assert invocation.overwrite
    assert (invocation.config.boxes.input_size, invocation.config.boxes.upsample) == (50, "nearest")
    assert invocation.config.seed == 3


def test_flags_alone_are_enough() -> None:
    assert parse(["index", "--run_dir", "a", "--data.root", "b"]).config == Config("a", DataConfig("b"))


def test_a_config_survives_yaml(tmp_path: Path) -> None:
    flags = ["--localizer.epochs", "3", "--classifier.weight_decay", "0", "--cluster.workers", "2", "--seed", "5"]
    config = parse(["run", "--config", write(tmp_path), *flags]).config
    path = tmp_path / "written.yaml"
    path.write_text(yaml.safe_dump(asdict(config)))
    assert parse(["run", "--config", str(path)]).config == config


@pytest.mark.parametrize(
    ("flags", "more", "told"),
    [
        pytest.param(["--boxes.input_sise", "5"], "", r"boxes.input_sise: .* one of .*boxes.input_size", id="flag"),
        pytest.param([], "boxes: {input_sise: 5}\n", r"boxes.input_sise: .* one of .*boxes.input_size", id="key"),
        pytest.param([], "boxs: {input_size: 5}\n", r"boxs.input_size: .* one of boxes, classifier", id="section"),
    ],
)
def test_an_unknown_field_is_told_with_its_neighbours(flags: list[str], more: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{told}.*; fix or remove it$"):
        parse(["boxes", "--config", write(tmp_path, more=more), *flags])


@pytest.mark.parametrize("place", ["flag", "YAML"])
@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("boxes.input_size", "0", "a whole number above 0"),
        ("boxes.input_size", "big", "a whole number above 0"),
        ("localizer.epochs", "1.5", "a whole number above 0"),
        ("localizer.min_crop_area", "2", "a number from 0 to 1"),
        ("classifier.momentum", "-0.5", "a number, 0 or more"),
        ("export.format", "coco", "one of wsol, wsol_maps, psol, csv"),
        ("predict.models", "both", "one of separate, joint"),
    ],
)
def test_an_impossible_value_is_told_with_what_is_allowed(
    field: str, value: str, expected: str, place: str, tmp_path: Path
) -> None:
    section, _, name = field.partition(".")
    more = f"{section}: {{{name}: {value}}}\n" if place == "YAML" else ""
    flags = [f"--{field}={value}"] if place == "flag" else []
    with pytest.raises(UserError, match=f"^{field}: found '?{value}'?, expected {expected}$"):
        parse(["boxes", "--config", write(tmp_path, more=more), *flags])


def test_a_config_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"^config: .*missing.yaml"):
        parse(["boxes", "--config", "missing.yaml"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["index", "--data.root", "b"], ["run_dir"], id="no run_dir"),
        pytest.param(["index", "--run_dir", "a"], ["root"], id="no root"),
        pytest.param(["indx"], ["indx", "index", "boxes"], id="no such command"),
        pytest.param([], ["no command", "index", "boxes"], id="no command"),
        pytest.param(["train", "--run_dir", "a", "--data.root", "b"], ["model"], id="no model"),
        pytest.param(
            ["train", "--run_dir", "a", "--data.root", "b", "detector"], ["detector", "localizer"], id="no such model"
        ),
    ],
)
def test_what_is_missing_is_named(arguments: list[str], words: list[str]) -> None:
    with pytest.raises(UserError) as raised:
        parse(arguments)
    told = str(raised.value)
    assert "\n" not in told
    assert all(word in told for word in words), told


@pytest.mark.parametrize("text", ["run_dir: [a\ndata: {\n", "- a\n- b\n", "localizer:\n"])
def test_yaml_that_holds_no_fields_is_one_sentence(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^config: the file is no YAML mapping of fields to values \(.+\); fix it$"):
        parse(["boxes", "--config", write(tmp_path, text)])


def test_what_changes_only_the_speed_is_not_of_the_result() -> None:
    assert "batch_size" in result_settings(TrainConfig())
    config = Config("a", DataConfig("b"))
    assert "batch_size" not in result_settings(config.boxes)
    assert result_settings(config.cluster) == {}
