"""`~` and variables in settings, from wherever: a shell expands them on its line, and nobody in a YAML file.

A dollar is `$$`, or one that no name follows.
"""

import os
import re
from dataclasses import fields, is_dataclass, replace
from typing import Any

from psol_ray.errors import UserError

__all__ = ["expand"]

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)\}|([A-Za-z_]\w*))")


def expand(value: Any, path: str = "") -> Any:
    """A setting, a list of some, or a section of them, with home folders and variables of the environment filled in.

    Args:
        value: what was given.
        path: the setting's name, for messages.

    Raises:
        UserError: a variable is not set, or there is no such user.
    """
    if is_dataclass(value) and not isinstance(value, type):
        prefix = f"{path}." if path else ""
        return replace(value, **{f.name: expand(getattr(value, f.name), f"{prefix}{f.name}") for f in fields(value)})
    if isinstance(value, list):
        return [expand(item, path) for item in value]
    return _expand_text(value, path) if isinstance(value, str) else value


def _expand_text(text: str, path: str) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[2] or found[3]
        if not found[1] and name not in os.environ:
            raise UserError(
                f"{path}: found {text!r}, and no variable {name} in the environment; set it, or write $$ for a dollar"
            )
        return found[1] or os.environ[name]

    # BACKBONE=WEIGHTS, too
    head, equals, tail = text.rpartition("=")
    if not re.fullmatch(r"[\w.]*", head):
        head, equals, tail = "", "", text
    home = os.path.expanduser(tail)
    if re.match(r"~[\w.-]", home):
        raise UserError(f"{path}: found {text!r}, and no user of that name here; write ./~ for a file's name")
    return head + equals + _VARIABLE.sub(value, home)
