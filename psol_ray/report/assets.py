"""Styles and scripts of the page: plain files of this package, carried by the page itself."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from markupsafe import Markup

__all__ = ["Assets", "load_assets"]

# In the order in which they need each other.
_SCRIPTS = ("data", "picture", "review", "filters", "sheet", "viewer", "edit", "main")
_STYLES = ("page", "sheet")


@dataclass(frozen=True)
class Assets:
    """What stands in the page's `style` and `script`, and the policy by which a browser runs no other script."""

    style: Markup
    script: Markup
    policy: str


@cache
def load_assets() -> Assets:
    """Read the files of `static`."""
    script = "\n".join(['(() => {\n"use strict";', *(_read(f"{name}.js") for name in _SCRIPTS), "})();"])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return Assets(Markup("\n".join(_read(f"{name}.css") for name in _STYLES)), Markup(script), policy)


def _read(name: str) -> str:
    return files("psol_ray.report").joinpath("static", name).read_text(encoding="utf-8")
