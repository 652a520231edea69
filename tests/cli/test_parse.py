"""YAML and flags into settings, and one sentence for each mistake."""

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from psol_ray.catalog.settings import DataConfig
from psol_ray.cli.fields import field_types
from psol_ray.cli.parse import parse
from psol_ray.config import Config
from psol_ray.errors import UserError
from psol_ray.formats.registry import WRITTEN
from psol_ray.stages import COMMANDS

WITH_SETTINGS = sorted(command.name for command in COMMANDS.values() if command.sections)
BASE = ["--run_dir", "runs/a", "--data.root", "images"]


def write(folder: Path, text: str = "run_dir: runs/a\ndata:\n  root: images\n", more: str = "") -> str:
    path = folder / "config.yaml"
    path.write_text(text + more)
    return str(path)


def config_of(*arguments: str) -> Config:
    config = parse(arguments).config
    assert config is not None
    return config


def complaint(*arguments: str) -> str:
    with pytest.raises(UserError) as raised:
        parse(arguments)
    words = str(raised.value)
    assert "\n" not in words
    return words


@pytest.mark.parametrize("command", WITH_SETTINGS)
def test_defaults_are_those_of_the_dataclasses(command: str, tmp_path: Path) -> None:
    model = ["localizer"] if COMMANDS[command].argument else []
    invocation = parse([command, "--config", write(tmp_path), *model])
    assert invocation.command is COMMANDS[command]
    several = COMMANDS[command].argument is not None and COMMANDS[command].argument.several
    assert invocation.argument == (model if several else "localizer" if model else None)
    assert invocation.overwrite is False
    assert invocation.config == Config("runs/a", DataConfig("images"))


def test_paper_tables_takes_run_directories_and_no_settings() -> None:
    invocation = parse(["paper-tables", "runs/cub", "runs/imagenet"])
    assert invocation.argument == ["runs/cub", "runs/imagenet"]
    assert invocation.config is None
    assert "--run_dir" in complaint("paper-tables", "runs/cub", "--run_dir", "a")


@pytest.mark.parametrize("spelled", [["--config", "{}"], ["--config={}"]])
@pytest.mark.parametrize("first", [True, False], ids=["before the file", "after the file"])
def test_flags_win_wherever_they_stand(tmp_path: Path, spelled: list[str], first: bool) -> None:
    file = [word.format(write(tmp_path, more="seed: 3\nboxes: {input_size: 100}\n")) for word in spelled]
    flags = ["--seed", "7"]
    config = config_of("boxes", *(flags + file if first else file + flags))
    assert (config.seed, config.boxes.input_size) == (7, 100)


def test_flags_win_over_yaml(tmp_path: Path) -> None:
    config = write(tmp_path, more="boxes: {input_size: 100, upsample: nearest}\nseed: 3\n")
    invocation = parse(["boxes", "--config", config, "--boxes.input_size", "50", "--overwrite"])
    assert invocation.overwrite
    assert invocation.config is not None
    assert (invocation.config.boxes.input_size, invocation.config.boxes.upsample) == (50, "nearest")
    assert invocation.config.seed == 3


def test_flags_alone_are_enough() -> None:
    assert config_of("index", "--run_dir", "a", "--data.root", "b") == Config("a", DataConfig("b"))


def test_settings_of_generators_have_sections_of_their_own(tmp_path: Path) -> None:
    config = write(tmp_path, more="boxes: {method: cam, class_maps: {threshold: 0.3}}\n")
    boxes = config_of("boxes", "--config", config, "--boxes.localizer.path", "m.safetensors").boxes
    assert boxes.method == "cam"
    assert asdict(boxes)["class_maps"] == {"classifier": None, "threshold": 0.3}
    assert asdict(boxes)["localizer"] == {"path": "m.safetensors"}


def test_a_config_survives_yaml(tmp_path: Path) -> None:
    flags = ["--localizer.epochs", "3", "--classifier.weight_decay", "0", "--cluster.workers", "2", "--seed", "5"]
    flags += ["--boxes.method", "imported", "--boxes.imported.path", "theirs", "--boxes.imported.threshold", "0.25"]
    config = config_of("run", "--config", write(tmp_path), *flags)
    path = tmp_path / "written.yaml"
    path.write_text(yaml.safe_dump(asdict(config)))
    assert config_of("run", "--config", str(path)) == config


@pytest.mark.parametrize("command", WITH_SETTINGS)
def test_a_command_takes_the_settings_of_all_others(command: str, tmp_path: Path) -> None:
    model = ["localizer"] if COMMANDS[command].argument else []
    flags = ["--boxes.backbone", "resnet50", "--predict.view", "center", "--export.out", "x", "--evaluate.iou_rule"]
    config = config_of(command, *model, "--config", write(tmp_path, more="joint: {epochs: 9}\n"), *flags, "above")
    assert (config.boxes.backbone, config.predict.view) == ("resnet50", "center")
    assert (config.export.out, config.evaluate.iou_rule, config.joint.epochs) == ("x", "above", 9)


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_what_a_command_does_not_use_need_not_be_given(command: str) -> None:
    assert config_of(command, "--run_dir", "a").run_dir == "a"


def test_a_mistake_in_settings_of_other_commands_is_a_mistake(tmp_path: Path) -> None:
    config = write(tmp_path, more="predict: {view: left}\n")
    assert complaint("index", "--config", config) == "predict.view: found left, expected one of whole, center"


@pytest.mark.parametrize(
    ("flags", "more", "words"),
    [
        pytest.param(["--boxes.input_sise", "5"], "", r"boxes.input_sise: .* one of .*boxes.input_size", id="flag"),
        pytest.param(["--boxes.input_sise=5"], "", r"boxes.input_sise: .* one of .*boxes.input_size", id="flag="),
        pytest.param([], "boxes: {input_sise: 5}\n", r"boxes.input_sise: .* one of .*boxes.input_size", id="key"),
        pytest.param([], "boxs: {input_size: 5}\n", r"boxs.input_size: .* one of boxes, classifier", id="section"),
        pytest.param([], "boxs: 5\n", r"boxs: .* one of boxes, classifier", id="value for a section"),
        pytest.param(
            ["--boxes.class_maps.tresh", "5"],
            "",
            r"boxes.class_maps.tresh: .* one of boxes.class_maps.classifier, boxes.class_maps.threshold",
            id="flag of a generator",
        ),
        pytest.param(
            [],
            "boxes: {class_maps: {tresh: 5}}\n",
            r"boxes.class_maps.tresh: .* one of boxes.class_maps.classifier, boxes.class_maps.threshold",
            id="key of a generator",
        ),
        pytest.param(["--boxes.tokencut.k=5"], "", r"boxes.tokencut.k: .* boxes.localizer, ", id="no such generator"),
        pytest.param(["--boxes.input", "5"], "", r"boxes.input: .* one of .*boxes.input_size", id="abbreviation"),
    ],
)
def test_an_unknown_field_is_told_with_its_neighbours(flags: list[str], more: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{words}.*; fix or remove it$"):
        parse(["boxes", "--config", write(tmp_path, more=more), *flags])


@pytest.mark.parametrize("place", ["flag", "YAML"])
@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("boxes.input_size", "0", "a whole number above 0"),
        ("boxes.input_size", "big", "a whole number above 0"),
        ("boxes.method", "tokencut", "one of ddt, cam, grad_cam, localizer, imported"),
        ("boxes.compile", "3", "true or false"),
        ("boxes.memory_gb", "much", "a number above 0 or null"),
        ("localizer.epochs", "1.5", "a whole number above 0"),
        ("localizer.min_crop_area", "2", "a number from 0 to 1"),
        ("localizer.ema_decay", "1", "a number between 0 and 1 or null"),
        ("classifier.momentum", "-0.5", "a number, 0 or more"),
        ("cluster.workers", "0", "a whole number above 0 or null"),
        ("export.format", "xml", f"one of {', '.join(WRITTEN)}"),
        ("predict.models", "both", "one of separate, joint"),
        ("predict.class_view", "left", "one of whole, center, ten or null"),
        ("predict.classifiers", "trained", "a list of texts"),
        ("seed", "null", "a whole number, 0 or more"),
        ("localizer.epochs", "null", "a whole number above 0"),
    ],
)
def test_an_impossible_value_is_told_with_what_is_allowed(
    field: str, value: str, expected: str, place: str, tmp_path: Path
) -> None:
    section, _, name = field.rpartition(".")
    more = f"{section}: {{{name}: {value}}}\n" if section else f"{name}: {value}\n"
    config = write(tmp_path, more=more if place == "YAML" else "")
    flags = [f"--{field}={value}"] if place == "flag" else []
    with pytest.raises(UserError, match=f"^{field}: found '?{value}'?, expected {expected}$"):
        parse(["boxes", "--config", config, *flags])


def test_an_impossible_value_of_a_generator_is_told(tmp_path: Path) -> None:
    expected = "boxes.class_maps.threshold: found 5, expected a number from 0 to 1"
    assert complaint("boxes", *BASE, "--boxes.class_maps.threshold", "5") == expected
    config = write(tmp_path, more="boxes: {class_maps: {threshold: 5}}\n")
    assert complaint("boxes", "--config", config) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("source.path", "boxes.imported.path"),
        ("source.format", "boxes.imported.format"),
        ("source.threshold", "boxes.imported.threshold"),
        ("boxes.classifier", "boxes.class_maps.classifier"),
        ("boxes.threshold", "boxes.class_maps.threshold"),
    ],
)
def test_an_old_name_is_told_with_the_new_one(old: str, new: str, tmp_path: Path) -> None:
    section, _, name = old.partition(".")
    sentence = f"{old}: found an old name, expected {new}; use that"
    assert complaint("boxes", *BASE, f"--{old}", "0.5") == sentence
    assert complaint("boxes", "--config", write(tmp_path, more=f"{section}: {{{name}: 0.5}}\n")) == sentence
    assert new in field_types()


def test_report_tables_is_told_to_be_a_command() -> None:
    assert "expected `psol paper-tables RUN ...`" in complaint("report", "--tables", "runs/a")


@pytest.mark.parametrize("field", ["box_loss", "box_loss_weight", "box_weights"])
def test_a_setting_that_was_removed_is_told_to_be_gone(field: str, tmp_path: Path) -> None:
    sentence = f"localizer.{field}: found a setting that no longer exists; leave it out"
    assert complaint("train", "localizer", *BASE, f"--localizer.{field}", "1") == sentence
    config = write(tmp_path, more=f"localizer: {{{field}: 1}}\n")
    assert complaint("train", "localizer", "--config", config) == sentence


@pytest.mark.parametrize(
    ("more", "start"),
    [
        ("boxes: 5\n", "boxes: found 5, expected a section with fields such as boxes."),
        ("boxes: {localizer: a.safetensors}\n", "boxes.localizer: found 'a.safetensors', expected a section with"),
        ("boxes: {localizer: null}\n", "boxes.localizer: found null, expected a section with fields such as boxes.loc"),
        ("evaluate:\n", "evaluate: found null, expected a section with fields such as evaluate."),
    ],
)
def test_a_value_where_a_section_should_be_is_told(more: str, start: str, tmp_path: Path) -> None:
    assert complaint("boxes", "--config", write(tmp_path, more=more)).startswith(start)


def test_a_localizer_as_a_flag_is_told_where_its_path_goes() -> None:
    words = complaint("boxes", *BASE, "--boxes.localizer", "a.safetensors")
    assert words.startswith("boxes.localizer: found 'a.safetensors', expected ")
    assert "boxes.localizer.path" in words


@pytest.mark.parametrize("file", ["missing.yaml", "."])
def test_a_config_that_is_not_there_is_named(file: str) -> None:
    with pytest.raises(UserError, match=r"^config: found no file '.*', expected a YAML file of settings; check") as e:
        parse(["boxes", "--config", file])
    assert str(Path(file).resolve()) in str(e.value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(
            ["index", "--data.root", "b"],
            "run_dir: found nothing, expected a text; give it in the YAML file or as --run_dir",
            id="no run_dir",
        ),
        pytest.param(
            ["index", "--run_dir", "a"],
            "data.root: found nothing, expected a text; give it in the YAML file or as --data.root",
            id="no root",
        ),
        pytest.param(
            ["train", *BASE], "model: found nothing, expected one of localizer, classifier, joint", id="no model"
        ),
        pytest.param(
            ["train", *BASE, "detector"],
            "model: found 'detector', expected one of localizer, classifier, joint",
            id="no such model",
        ),
        pytest.param(["paper-tables"], "run: found nothing, expected one or more run directories", id="no runs"),
        pytest.param(
            ["boxes", *BASE, "--boxes.input_size"],
            "boxes.input_size: found nothing, expected a whole number above 0; give it after --boxes.input_size",
            id="no value",
        ),
        pytest.param(
            ["boxes", *BASE, "--config"],
            "config: found nothing, expected a YAML file of settings; give it after --config",
            id="no file",
        ),
        pytest.param(
            ["boxes", *BASE, "stray"],
            "found 'stray', and psol boxes has no such argument; see psol boxes --help",
            id="one word too many",
        ),
    ],
)
def test_what_is_missing_or_too_much_is_named(arguments: list[str], sentence: str) -> None:
    assert complaint(*arguments) == sentence


@pytest.mark.parametrize("text", ["run_dir: [a\ndata: {\n", "- a\n- b\n", "localizer:\n"])
def test_yaml_that_holds_no_fields_is_one_sentence(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^config: the file is not a YAML mapping of fields to values \(.+\); fix it$"):
        parse(["boxes", "--config", write(tmp_path, text)])
