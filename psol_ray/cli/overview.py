"""`psol` without a command: the list of commands, the version, and the completion script of a shell."""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec

from psol_ray import __version__
from psol_ray.errors import UserError
from psol_ray.stages import COMMANDS

__all__ = ["show"]

_SHELLS = ("bash", "zsh")


def show(arguments: Sequence[str]) -> None:
    """Print what is asked for; all but the completion script needs the list of commands alone.

    Raises:
        UserError: there is no command, or no such command or flag.
    """
    parser = _make_parser()
    if not arguments:
        raise UserError(f"found no command, expected one of {', '.join(COMMANDS)}; see psol --help")
    try:
        asked, unknown = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        if arguments[0].startswith("-"):
            raise UserError(f"{arguments[0]}: {error.message}; see psol --help") from None
        raise UserError(
            f"found the command {arguments[0]!r}, expected one of {', '.join(COMMANDS)}; see psol --help"
        ) from None
    if unknown:
        raise UserError(f"{unknown[0]}: found an unknown flag before the command; see psol --help")
    if asked.completion:
        print(_completion_script(asked.completion))


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="psol",
        usage="psol COMMAND ...",
        description="Bounding boxes that nobody had to label. Try: psol run --config jobs/demo.yaml",
        epilog="psol COMMAND --help shows the settings of a command.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__, help="Print the version.")
    parser.add_argument("--completion", choices=_SHELLS, help="Print a script that completes commands and settings.")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for command in COMMANDS.values():
        commands.add_parser(command.name, help=command.purpose)
    return parser


def _completion_script(shell: str) -> str:
    if find_spec("shtab") is None:
        raise UserError("--completion: found no shtab, which writes the script; run `pip install shtab`")
    # Late: the parsers of all commands take seconds to make.
    from jsonargparse import ArgumentParser

    from psol_ray.cli.parse import make_parser

    parser = ArgumentParser(prog="psol", description="Bounding boxes that nobody had to label.")
    commands = parser.add_subcommands(metavar="COMMAND")
    for command in COMMANDS.values():
        commands.add_subcommand(command.name, make_parser(command), help=command.purpose)
    return parser.get_completion_script(f"shtab-{shell}")
