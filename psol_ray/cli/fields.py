"""The fields of the configuration by their paths, such as `boxes.input_size`, and their types in words."""

from dataclasses import is_dataclass
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from jsonargparse import typing as restricted

from psol_ray.config import Config

__all__ = ["describe_type", "field_types", "is_choice", "sections"]

_WORDS: dict[Any, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list[str]: "a list of texts",
    restricted.PositiveInt: "a whole number above 0",
    restricted.NonNegativeInt: "a whole number, 0 or more",
    restricted.PositiveFloat: "a number above 0",
    restricted.NonNegativeFloat: "a number, 0 or more",
    restricted.ClosedUnitInterval: "a number from 0 to 1",
    restricted.OpenUnitInterval: "a number between 0 and 1",
    NoneType: "null",
}


@cache
def field_types() -> dict[str, Any]:
    """Types of all fields of the configuration by their paths."""
    return _types_below(Config, "")


def _types_below(section: Any, prefix: str) -> dict[str, Any]:
    types: dict[str, Any] = {}
    for name, kind in get_type_hints(section).items():
        types |= _types_below(kind, f"{prefix}{name}.") if is_dataclass(kind) else {f"{prefix}{name}": kind}
    return types


@cache
def sections() -> set[str]:
    """Paths of all sections of the configuration, such as `boxes` and `boxes.imported`."""
    parts = [path.split(".") for path in field_types()]
    return {".".join(names[:depth]) for names in parts for depth in range(1, len(names))}


def is_choice(kind: Any) -> bool:
    """Whether a field of this type holds one of a few words."""
    return get_origin(kind) is Literal


def describe_type(kind: Any) -> str:
    """`a whole number above 0 or null`: what may stand in a field of this type; empty where no words are known."""
    if is_choice(kind):
        return f"one of {', '.join(get_args(kind))}"
    # An optional field is a union.
    return _WORDS.get(kind) or " or ".join(filter(None, map(describe_type, get_args(kind))))
