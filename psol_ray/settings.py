"""Settings from YAML and flags, by jsonargparse; its complaints made into one sentence each."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings

from psol_ray.complaints import one_sentence
from psol_ray.config import Config
from psol_ray.errors import UserError

__all__ = ["COMMANDS", "Invocation", "ModelName", "parse"]

# The sentence under each field of a config is its help.
set_parsing_settings(docstring_parse_attribute_docstrings=True)

COMMANDS = {
    "run": "Algorithm 1 whole: every command below but export.",
    "index": "Make the catalog of a data set.",
    "boxes": "Draw pseudo boxes by Deep Descriptor Transformation, by an earlier localizer or a classifier's maps.",
    "train": "Train the localizer, the classifier, or one network for both.",
    "predict": "Predict boxes and classes of the test images.",
    "evaluate": "Write metrics.json and print the scores.",
    "report": "Write the page with pictures.",
    "transfer": "Score another run's localizer on these images: index, predict, evaluate and report.",
    "import": "Take boxes of another project for this run's pseudo boxes.",
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
    if not arguments:
        raise UserError(f"found no command, expected one of {', '.join(COMMANDS)}; see psol --help")
    parser = _make_parser()
    try:
        parsed = parser.parse_args(list(arguments))
        built = parser.instantiate(parsed)
    except (ArgumentError, TypeError, ValueError) as error:
        raise UserError(one_sentence(str(error))) from None
    found = built[parsed.subcommand]
    config = _plain(Config(**{f.name: found[f.name] for f in fields(Config)}))
    return Invocation(parsed.subcommand, config, found.overwrite, found.get("model"))


def _plain(value: Any) -> Any:
    """jsonargparse's restricted numbers are classes of its own, which neither YAML nor a checkpoint should hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _plain(getattr(value, f.name)) for f in fields(value)})
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
