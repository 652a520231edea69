"""jsonargparse's complaints, made into one sentence: the field, what was found, what was expected, what to do."""

import re
from dataclasses import is_dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from jsonargparse import typing as restricted

from psol_ray.config import Config

__all__ = ["field_types", "one_sentence"]

_WORDS: dict[Any, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    restricted.PositiveInt: "a whole number above 0",
    restricted.NonNegativeInt: "a whole number, 0 or more",
    restricted.PositiveFloat: "a number above 0",
    restricted.NonNegativeFloat: "a number, 0 or more",
    restricted.ClosedUnitInterval: "a number from 0 to 1",
    restricted.OpenUnitInterval: "a number between 0 and 1",
    NoneType: "null",
}
_VALUES = (
    r"Not of type \w+: (?:invalid literal for .*: |could not convert string to float: )?(.+?)"
    r"(?: does not conform.*| not an integer.*)?$",
    r"Got value: (.+)$",
)


def field_types(section: Any = Config, prefix: str = "") -> dict[str, Any]:
    """Types of all fields below a config class by their paths, such as `boxes.input_size`."""
    types: dict[str, Any] = {}
    for name, kind in get_type_hints(section).items():
        types |= field_types(kind, f"{prefix}{name}.") if is_dataclass(kind) else {f"{prefix}{name}": kind}
    return types


def one_sentence(complaint: str) -> str:
    """The complaint in the project's words; one that is not known, on one line."""
    unknown = re.search(r"does not accept option '([\w.]+)'|nrecognized arguments: (?:--)?([\w.]+)", complaint)
    if unknown:
        return _unknown(unknown[1] or unknown[2])
    missing = re.search(r"arguments are required: \w+\.([\w.]+)", complaint)
    if missing:
        how = "" if missing[1] == "model" else f"; give it in the YAML file or as --{missing[1]}"
        return f"{missing[1]}: found nothing, expected {_expected(missing[1])}{how}"
    line = " ".join(complaint.split())
    no_yaml = re.match(r"(?:Problems parsing|Unexpected) config:\s*(.*)", line)
    if no_yaml:
        reason = no_yaml[1].replace(' in "<unicode string>"', "")[:200]
        return f"config: the file is no YAML mapping of fields to values ({reason}); fix it"
    impossible = re.match(r"Parser key \"(.+?)\":?\s*(.*)", line)
    if impossible:
        return _impossible(impossible[1], impossible[2])
    return line


def _unknown(path: str) -> str:
    section = path.rpartition(".")[0]
    siblings = [known for known in field_types() if known.rpartition(".")[0] == section]
    allowed = siblings if section and siblings else sorted({known.partition(".")[0] for known in field_types()})
    return f"{path}: found an unknown field, expected one of {', '.join(allowed)}; fix or remove it"


def _impossible(path: str, complaint: str) -> str:
    values = [found[1] for pattern in _VALUES if (found := re.search(pattern, complaint))]
    if values and _expected(path):
        return f"{path}: found {values[0]}, expected {_expected(path)}"
    return f"{path}: {complaint}"


def _expected(path: str) -> str:
    if path == "model":
        return "one of localizer, classifier, joint"
    return _describe(field_types().get(path))


def _describe(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    # An optional field is a union.
    return _WORDS.get(kind) or " or ".join(_describe(part) for part in get_args(kind))
