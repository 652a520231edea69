"""Settings from YAML and flags, by jsonargparse; its complaints made into one sentence each."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings

from psol_ray.cli.config_errors import one_sentence
from psol_ray.config import Config
from psol_ray.errors import UserError

__all__ = ["COMMANDS", "Invocation", "ModelName", "TablesInvocation", "parse"]

# The sentence under each field of a config is its help.
set_parsing_settings(docstring_parse_attribute_docstrings=True)

COMMANDS = {
    "run": "Algorithm 1 whole: index, boxes, train, predict, evaluate and report.",
    "index": "Make the catalog of a data set.",
    "boxes": "Draw pseudo boxes by Deep Descriptor Transformation, by an earlier localizer or a classifier's maps.",
    "train": "Train the localizer, the classifier, or one network for both.",
    "predict": "Predict boxes and classes of the test images.",
    "evaluate": "Write metrics.json and print the scores.",
    "report": "Write the page with pictures; with --tables, print the paper's tables.",
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


@dataclass(frozen=True)
class TablesInvocation:
    """`psol report --tables RUN...`, which needs no settings."""

    run_dirs: Sequence[str]
    command: str = "report"


def parse(arguments: Sequence[str]) -> Invocation | TablesInvocation:
    """Settings from the command line and the YAML files it names; flags win.

    Raises:
        UserError: a field is unknown, missing, or has an impossible value.
    """
    if not arguments:
        raise UserError(f"found no command, expected one of {', '.join(COMMANDS)}; see psol --help")
    if arguments[0] == "report" and any(argument.startswith("--tables") for argument in arguments):
        return _parse_tables(arguments[1:])
    parser = _make_parser()
    try:
        parsed = parser.parse_args(list(arguments))
        built = parser.instantiate(parsed)
    except (ArgumentError, TypeError, ValueError) as error:
        raise UserError(one_sentence(str(error))) from None
    found = built[parsed.subcommand]
    config = _plain(Config(**{f.name: found[f.name] for f in fields(Config)}))
    return Invocation(parsed.subcommand, config, found.overwrite, found.get("model"))


def _parse_tables(arguments: Sequence[str]) -> TablesInvocation:
    if arguments[0] != "--tables" or len(arguments) < 2 or any(name.startswith("-") for name in arguments[1:]):
        raise UserError(
            f"--tables: found {' '.join(arguments)!r}, expected --tables and run directories alone, as in"
            " `psol report --tables runs/cub runs/imagenet`; give those"
        )
    return TablesInvocation(arguments[1:])


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
        if name == "report":
            tables = "Alone: print the paper's Tables 1 to 5 with the figures of these run directories."
            command.add_argument("--tables", metavar="RUN", nargs="+", help=tables)
        command.add_argument("--config", action="config", help="YAML file of the fields below; flags win over it.")
        command.add_argument(
            "--overwrite", action="store_true", help="Replace results of another configuration in run_dir."
        )
        command.add_class_arguments(Config)
        commands.add_subcommand(name, command, help=purpose)
    return parser
