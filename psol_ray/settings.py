"""Settings from YAML and flags, by jsonargparse; its complaints made into one sentence each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings

from psol_ray.config import Config
from psol_ray.errors import UserError

__all__ = ["COMMANDS", "Invocation", "field_paths", "parse"]

# The sentence under each field of a config is its help.
set_parsing_settings(docstring_parse_attribute_docstrings=True)

COMMANDS = {
    "run": "Algorithm 1 whole: every command below but export.",
    "index": "Make the catalog of a data set.",
    "boxes": "Draw pseudo boxes by Deep Descriptor Transformation.",
    "train": "Train the localizer, the classifier, or one network for both.",
    "predict": "Predict boxes and classes of the test images.",
    "evaluate": "Write metrics.json and print the scores.",
    "report": "Write the page with pictures.",
    "export": "Write boxes in the formats of other projects.",
}

ModelName = Literal["localizer", "classifier", "joint"]


@dataclass(frozen=True)
class Invocation:
    """A command with its settings; `model` is what `train` trains."""

    command: str
    config: Config
    overwrite: bool
    model: ModelName | None = None


def parse(arguments: Sequence[str]) -> Invocation:
    """Settings from the command line and the YAML files it names; flags win.

    Raises:
        UserError: a field is unknown, missing, or has an impossible value.
    """
    parser = _make_parser()
    try:
        parsed = parser.parse_args(list(arguments))
        built = parser.instantiate(parsed)
    except (ArgumentError, TypeError, ValueError) as error:
        raise UserError(_one_sentence(str(error))) from None
    found = built[parsed.subcommand]
    config = _plain(Config(**{f.name: found[f.name] for f in fields(Config)}))
    return Invocation(parsed.subcommand, config, found.overwrite, found.get("model"))


def _plain(value: Any) -> Any:
    """jsonargparse's restricted numbers are classes of its own, which neither YAML nor a checkpoint should hold."""
    if is_dataclass(value):
        return type(value)(**{f.name: _plain(getattr(value, f.name)) for f in fields(value)})  # type: ignore[operator]
    for plain in (int, float):
        if isinstance(value, plain) and not isinstance(value, bool):
            return plain(value)
    return value


def _make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="psol",
        description="Bounding boxes that nobody had to label. Try: psol run --config jobs/demo.yaml",
        exit_on_error=False,
    )
    commands = parser.add_subcommands(metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        command = ArgumentParser(description=purpose, exit_on_error=False)
        if name == "train":
            command.add_argument("model", type=ModelName, help="What to train.")
        command.add_argument("--config", action="config", help="YAML file of the fields below; flags win over it.")
        command.add_argument(
            "--overwrite", action="store_true", help="Replace results of another configuration in run_dir."
        )
        command.add_class_arguments(Config)
        commands.add_subcommand(name, command, help=purpose)
    return parser


def field_paths(section: Any = Config, prefix: str = "") -> list[str]:
    """Paths of all fields below a config class, such as `boxes.input_size`."""
    paths = []
    for name, kind in get_type_hints(section).items():
        paths += field_paths(kind, f"{prefix}{name}.") if is_dataclass(kind) else [f"{prefix}{name}"]
    return paths


def _one_sentence(complaint: str) -> str:
    unknown = re.search(r"does not accept option '([\w.]+)'|nrecognized arguments: (?:--)?([\w.]+)", complaint)
    if unknown:
        return _unknown(unknown[1] or unknown[2])
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    value = re.match(r"Parser key \"(.+?)\":?\s*(.*)", " ".join(lines))
    return f"{value[1]}: {value[2]}" if value else " ".join(lines)


def _unknown(path: str) -> str:
    section = path.rpartition(".")[0]
    siblings = [known for known in field_paths() if known.rpartition(".")[0] == section]
    allowed = siblings or sorted({known.partition(".")[0] for known in field_paths()})
    return f"{path}: found an unknown field, expected one of {', '.join(allowed)}; mend or remove it"
