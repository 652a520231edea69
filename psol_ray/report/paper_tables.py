"""Tables 1 to 5 of the paper with its figures and those of runs (`paper.yaml` has the former)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import yaml
from rich import box
from rich.table import Table

from psol_ray.report.scores import DASH

__all__ = ["RunRow", "paper_tables"]

_UNKNOWN = "?"
_HEADINGS = {
    "parameters": "params M",
    "flops": "FLOPs G",
    "gt_known": "GT",
    "top1_loc": "Top-1",
    "top5_loc": "Top-5",
    "cub": "CUB",
    "imagenet": "INet",
}


@dataclass(frozen=True)
class RunRow:
    """What one run says in one table."""

    table: int
    method: str
    backbone: str
    measured_on: str
    """What its figures were measured on, in words."""
    figures: Mapping[str, float | None] = field(default_factory=dict)
    """By column: `cub.gt_known`. Percent, millions or billions."""


def paper_tables(rows: Sequence[RunRow]) -> list[tuple[str, Table | None, list[str]]]:
    """Every table of the paper: its title, its rows, if there are any, and what each of our rows was measured on.

    Our rows stand below the paper's row of their method and backbone, those that it does not have at the end. A dash is
    a figure that there is not, `?` one of the paper's that could not be looked up.
    """
    content = yaml.safe_load((files(__package__) / "paper.yaml").read_text())
    return [_table(spec, [row for row in rows if row.table == spec["number"]]) for spec in content["tables"]]


def _table(spec: Mapping[str, Any], ours: Sequence[RunRow]) -> tuple[str, Table | None, list[str]]:
    title, columns = f"Table {spec['number']}. {spec['title']}", spec["columns"]
    if not spec["rows"] and not ours:
        return title, None, []
    table = Table(box=box.MARKDOWN)
    for heading in ("", "", *map(_heading, columns)):
        table.add_column(heading, no_wrap=True, justify="right" if heading else "left")
    notes = list(dict.fromkeys(row.measured_on for row in ours if row.measured_on))
    left = list(ours)

    def add_ours(rows: Sequence[RunRow], name: str = "") -> None:
        for index, row in enumerate(rows):
            mark = f" \\[{notes.index(row.measured_on) + 1}]" if row.measured_on else ""
            cells = (_cell(row.figures.get(column), DASH) for column in columns)
            table.add_row("" if index else name, f"ours{mark}", *cells)
            left.remove(row)

    for printed in spec["rows"]:
        missing = dict.fromkeys(columns, _UNKNOWN) | dict.fromkeys(spec.get("not_printed", ()), DASH)
        key = (printed["method"], printed.get("backbone", ""))
        table.add_row(_name(*key), "paper", *(_cell(printed.get(column), missing[column]) for column in columns))
        add_ours([row for row in left if (row.method, row.backbone) == key])
    for key in dict.fromkeys((row.method, row.backbone) for row in left):
        add_ours([row for row in left if (row.method, row.backbone) == key], _name(*key))
    return title, table, notes


def _name(method: str, backbone: str) -> str:
    return f"{method}, {backbone}" if backbone else method


def _heading(column: str) -> str:
    return " ".join(_HEADINGS[part] for part in column.split("."))


def _cell(value: float | str | None, missing: str) -> str:
    return missing if value is None else value if isinstance(value, str) else f"{value:.2f}"
