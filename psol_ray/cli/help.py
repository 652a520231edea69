"""What `--help` shows: of `psol` the commands, of a command the settings that it uses, with their types in words."""

import argparse

from jsonargparse import DefaultHelpFormatter

from psol_ray.cli.fields import describe_type, field_types, is_choice
from psol_ray.stages import Command

__all__ = ["EPILOG", "HelpFormatter", "is_used", "usage"]

EPILOG = (
    "Settings of other commands are accepted as well and change nothing here: one YAML file and one set of flags serve"
    " every command."
)


class HelpFormatter(DefaultHelpFormatter):
    """Shows each setting's type and default in words."""

    def _get_help_string(self, action: argparse.Action) -> str:
        kind = field_types().get(action.dest)
        if kind is None:
            return action.help or ""
        # Choices stand beside the flag already.
        words = "" if kind is bool or is_choice(kind) else describe_type(kind)
        default = "default: " + (str(action.default).lower() if kind is bool else "%(default)s")
        # Where a command can do without a run, it is required as soon as it is about one.
        default = "required" if action.required else "required of a run" if action.default == "" else default
        return f"{action.help} ({'; '.join(filter(None, (words, default)))})"


def is_used(command: Command, path: str) -> bool:
    """Whether a command uses the field of this path, `overwrite` or `skip`."""
    if path == "overwrite":
        return command.overwrites
    if path == "skip":
        return command.skips
    if path == "run_dir":
        return command.in_run
    return any(f"{path}.".startswith(f"{section}.") for section in command.sections)


def usage(command: Command) -> str:
    """The first line of a command's help; a list of all flags would fill a page."""
    argument = command.argument
    name = argument.name.upper() if argument else ""
    words = [
        name if argument and not argument.optional else "",
        f"[{name} ...]" if argument and argument.several else "",
    ]
    settings = ["[--config FILE.yaml]", "[--SECTION.FIELD VALUE ...]"] if command.sections else []
    return " ".join(filter(None, ["psol", command.name, *words, *settings]))
