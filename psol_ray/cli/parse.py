"""A command with its settings, from flags and YAML, by jsonargparse; its errors become one sentence each."""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from psol_ray.cli.config_errors import check_settings, format_error
from psol_ray.cli.config_files import check_file
from psol_ray.cli.expand import expand
from psol_ray.cli.fields import field_types, sections
from psol_ray.cli.help import EPILOG, HelpFormatter, is_used, usage
from psol_ray.config import Config
from psol_ray.errors import UserError
from psol_ray.stages import COMMANDS, Command

__all__ = ["Invocation", "make_parser", "parse"]

_NOT_GIVEN = ""

# The sentence under each field of a config is its help.
set_parsing_settings(docstring_parse_attribute_docstrings=True)


@dataclass(frozen=True)
class Invocation:
    """A command with its settings, None where it takes none, and with what it is given beside them."""

    command: Command
    config: Config | None
    overwrite: bool = False
    skip: bool = False
    argument: str | list[str] | None = None


def parse(arguments: Sequence[str]) -> Invocation:
    """Settings from the command line and the YAML files it names; flags win.

    Args:
        arguments: the name of a command, and what is for it.

    Raises:
        UserError: a field is unknown, missing, or has an impossible value.
    """
    command = COMMANDS[arguments[0]]
    parser = make_parser(command)
    try:
        parsed = parser.parse_args(_in_order(arguments[1:], parser, command))
        _check_required(parsed, command)
        if command.sections:
            check_settings(parsed, command)
        built = parser.instantiate(parsed)
    except (ArgumentError, TypeError, ValueError) as error:
        raise UserError(format_error(error, command)) from None
    argument = (built[command.argument.name] or None) if command.argument else None
    if not command.sections:
        return Invocation(command, None, argument=argument)
    config = expand(_plain(Config(**{f.name: built[f.name] for f in fields(Config)})))
    return Invocation(command, config, built.overwrite, built.skip, argument)


def _files_first(words: Sequence[str]) -> list[str]:
    """The YAML files before everything else, because of two that set a field the later one wins."""
    files: list[str] = []
    others: list[str] = []
    remaining = iter(words)
    for word in remaining:
        name, equals, path = word.partition("=")
        if name == "--config":
            following = [path] if equals else list(itertools.islice(remaining, 1))
            for path in following:
                check_file(path)
            files += [word] if equals else [word, *following]
        else:
            others.append(word)
    return files + others


def _in_order(words: Sequence[str], parser: ArgumentParser, command: Command) -> list[str]:
    """YAML files, flags, and last what is no flag: argparse wants arguments that may be left out in one piece."""
    if command.argument is None or not command.argument.optional:
        return _files_first(words)
    without_value = {name for action in parser._actions if action.nargs == 0 for name in action.option_strings}
    flags: list[str] = []
    others: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word == "--":
            others += remaining
        elif word.startswith("-") and word != "-":
            flags.append(word)
            if "=" not in word and word not in without_value:
                flags += itertools.islice(remaining, 1)
        else:
            others.append(word)
    return [*_files_first(flags), *(["--", *others] if others else [])]


def _check_required(parsed: Namespace, command: Command) -> None:
    """Where an argument says what else a command does, jsonargparse cannot know what it needs without."""
    if command.argument is None or not command.argument.alone or parsed[command.argument.name]:
        return
    for path in ("run_dir", "data.root"):
        if parsed.get(path) == _NOT_GIVEN:
            raise ValueError(f"arguments are required: {path}")


def _plain(value: Any) -> Any:
    """jsonargparse's restricted numbers are classes of its own, which neither YAML nor a checkpoint should hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _plain(getattr(value, f.name)) for f in fields(value)})
    for plain in (int, float):
        if isinstance(value, plain) and not isinstance(value, bool):
            return plain(value)
    return value


def make_parser(command: Command) -> ArgumentParser:
    """The parser of one command. It takes every setting and shows those that the command uses."""
    parser = ArgumentParser(
        prog=f"psol {command.name}",
        usage=usage(command),
        description=command.purpose,
        epilog=EPILOG if command.sections else None,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
        exit_on_error=False,
    )
    if argument := command.argument:
        options: dict[str, Any] = {"choices": argument.choices} if argument.choices else {}
        if argument.several:
            options["nargs"] = "*" if argument.optional else "+"
        parser.add_argument(argument.name, help=argument.help, **options)
    if command.sections:
        _add_settings(parser, command)
    return parser


def _add_settings(parser: ArgumentParser, command: Command) -> None:
    parser.add_argument("--config", action="config", help="YAML file of the settings below; flags win over it.")
    parser.add_argument("--overwrite", action="store_true", help="Replace results of another configuration in run_dir.")
    parser.add_argument(
        "--skip", action="store_true", help="Go on without parts whose workers die each time; exit code 3."
    )
    parser.add_class_arguments(Config)
    for action in parser._actions:
        if action.dest in {"overwrite", "skip", *field_types()}:
            if not is_used(command, action.dest):
                action.help = argparse.SUPPRESS
                _release(action)
            elif command.argument and command.argument.alone:
                _release(action)
        elif action.dest in sections():
            action.help = argparse.SUPPRESS  # a file for one section
    _add_short(parser, command)


def _add_short(parser: ArgumentParser, command: Command) -> None:
    by_path = {action.dest: action for action in parser._actions}
    for name, path in command.short.items():
        for flag in dict.fromkeys((f"--{name}", f"--{name.replace('-', '_')}")):
            parser._option_string_actions[flag] = by_path[path]
        # What the help shows.
        by_path[path].option_strings = [f"--{name}"]


def _release(action: argparse.Action) -> None:
    """Nobody should have to say what the command does not ask for."""
    if action.required:
        action.required, action.default = False, _NOT_GIVEN
