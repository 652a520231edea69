"""jsonargparse's errors, made into one sentence: the field, what was found, what was expected, what to do.

It raises texts alone, nothing that says which field or value it is about, so those are cut out of the texts here.
`tests/cli/test_parse.py` makes each of these mistakes and would notice a text that a newer version words anew.
"""

import re
from types import NoneType
from typing import get_args

from jsonargparse import Namespace

from psol_ray.cli.fields import describe_type, field_types, sections
from psol_ray.errors import UserError
from psol_ray.stages import Command

__all__ = ["check_settings", "format_error"]

_RENAMED = {
    "source": "boxes.imported",
    "boxes.classifier": "boxes.class_maps.classifier",
    "boxes.threshold": "boxes.class_maps.threshold",
    "tables": "`psol paper-tables RUN ...`",
}
_REMOVED = ("box_loss", "box_loss_weight", "box_weights")

_UNKNOWN_FIELD = re.compile(r"(?:Group '(?P<group>[\w.]+)' does not accept option|Option) '(?P<name>[\w.]+)'")
_UNKNOWN_WORD = re.compile(r"unrecognized arguments: (?P<word>[^\s=]+)")
_MISSING = re.compile(r"arguments are required: (?P<name>[\w.]+)")
_NO_YAML = re.compile(r"(?:Problems parsing|Unexpected) config:\s*(?P<reason>.*)")
_NO_FILE = re.compile(r"Parser key \"config\": .*?: (?P<file>'.*')$")
_NO_SECTION = re.compile(r"Parser key \"(?P<path>[\w.]+)\": Unable to load config (?P<value>'.*?')(?: - |$)")
_FLAG = re.compile(r"argument -*(?P<name>[\w.]+): (?P<reason>.*)")
_WRONG_VALUE = re.compile(r"Parser key \"(?P<path>[\w.]+)\": (?P<reason>.*)")
_VALUES = (
    re.compile(r"G(?:ot|iven) value: (?P<value>.+)$"),
    re.compile(r"not '(?P<value>None)Type'$"),
    re.compile(
        r"Not of type \w+: (?:invalid literal for .*: |could not convert string to float: )?(?P<value>.+?)"
        r"(?: does not conform.*| not an integer.*)?$"
    ),
    re.compile(r"invalid choice: (?P<value>.+) \(choose from"),
)


def format_error(error: Exception, command: Command) -> str:
    """What jsonargparse complains of in the project's words; what is not known, on one line."""
    text = " ".join(str(error).split())
    if match := _UNKNOWN_FIELD.search(text):
        return _unknown(".".join(filter(None, match.group("group", "name"))))
    if match := _UNKNOWN_WORD.search(text):
        return _unknown_word(match["word"], command)
    if match := _MISSING.search(text):
        return _missing(match["name"], command)
    if match := _NO_YAML.search(text):
        reason = match["reason"].replace(' in "<unicode string>"', "")[:200]
        return f"config: the file is not a YAML mapping of fields to values ({reason}); fix it"
    if match := _NO_FILE.search(text):
        return f"config: found no file {match['file']}, expected a YAML file of settings; check the path"
    if match := _NO_SECTION.search(text):
        return _no_section(match["path"], match["value"])
    if match := _FLAG.search(text):
        return _wrong_value(match["name"], match["reason"], command)
    if match := _WRONG_VALUE.search(text):
        return _wrong_value(match["path"], match["reason"], command)
    return text


def check_settings(settings: Namespace, command: Command) -> None:
    """Look for what jsonargparse itself lets pass: a value in place of a section, a null where none may stand.

    Raises:
        UserError: there is one.
    """
    for path in sorted(sections()):
        if not isinstance(value := settings.get(path), Namespace):
            raise UserError(_no_section(path, "null" if value is None else repr(value)))
    for path, kind in field_types().items():
        if settings.get(path) is None and NoneType not in get_args(kind):
            raise UserError(_wrong_value(path, "Got value: None", command))


def _unknown(path: str) -> str:
    for old, new in _RENAMED.items():
        if f"{path}.".startswith(f"{old}."):
            return f"{path}: found an old name, expected {new + path.removeprefix(old)}; use that"
    if path.rpartition(".")[2] in _REMOVED:
        return f"{path}: found a setting that no longer exists; leave it out"
    return f"{path}: found an unknown field, expected one of {', '.join(_neighbours(path))}; fix or remove it"


def _neighbours(path: str) -> list[str]:
    """Fields and sections of the section that a path is in or, where there is none of this name, above it."""
    section = path.rpartition(".")[0]
    while section not in sections() and section:
        section = section.rpartition(".")[0]
    known = [*field_types(), *sections()]
    return sorted(name for name in known if name.rpartition(".")[0] == section)


def _unknown_word(word: str, command: Command) -> str:
    if command.sections and word.startswith("--"):
        return _unknown(word[2:])
    expected = f"psol {command.name} has no such argument; see psol {command.name} --help"
    return f"found {word!r}, and {expected}"


def _missing(name: str, command: Command) -> str:
    how = "" if _is_argument(name, command) else f"; give it in the YAML file or as --{name}"
    return f"{name}: found nothing, expected {_expected(name, command)}{how}"


def _no_section(path: str, value: str) -> str:
    first = next(name for name in field_types() if name.startswith(f"{path}."))
    return f"{path}: found {value}, expected a section with fields such as {first}; give those"


def _wrong_value(path: str, reason: str, command: Command) -> str:
    expected = _expected(path, command)
    if expected and "expected one argument" in reason:
        return f"{path}: found nothing, expected {expected}; give it after --{path}"
    found = next((match["value"] for pattern in _VALUES if (match := pattern.search(reason))), None)
    if found and expected:
        return f"{path}: found {'null' if found == 'None' else found}, expected {expected}"
    return f"{path}: {reason}"


def _is_argument(name: str, command: Command) -> bool:
    return command.argument is not None and name == command.argument.name


def _expected(path: str, command: Command) -> str:
    if command.argument and _is_argument(path, command):
        if choices := command.argument.choices:
            return f"one of {', '.join(choices)}"
        words = command.argument.help.rstrip(".")
        return "one or more run directories" if command.argument.several else f"a {words[0].lower()}{words[1:]}"
    if path == "config":
        return "a YAML file of settings"
    return describe_type(field_types().get(path))
