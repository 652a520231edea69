"""Tables 1 to 5 of the paper with its figures and those of runs (`paper.yaml` has the former)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, NamedTuple

import yaml
from rich import box
from rich.table import Table

from psol_ray.report.scores import DASH

__all__ = ["PaperTable", "RunRow", "make_tables"]

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


class PaperTable(NamedTuple):
    """A table to print; `notes` say what numbered rows were measured on, `doubts` what is not sure of starred ones."""

    title: str
    table: Table
    notes: list[str]
    doubts: list[str]


def make_tables(rows: Sequence[RunRow]) -> list[PaperTable]:
    """Make every table of the paper.

    Rows of runs stand below the paper's row of their method and backbone, those that it does not have at the end. A
    dash is a figure that there is not.
    """
    content = yaml.safe_load((files(__package__) / "paper.yaml").read_text())
    return [_make_table(spec, [row for row in rows if row.table == spec["number"]]) for spec in content["tables"]]


def _make_table(spec: Mapping[str, Any], ours: Sequence[RunRow]) -> PaperTable:
    columns = spec["columns"]
    table = Table(box=box.MARKDOWN)
    for heading in ("", "", *map(_heading, columns)):
        table.add_column(heading, no_wrap=True, justify="right" if heading else "left")
    notes = list(dict.fromkeys(row.measured_on for row in ours if row.measured_on))
    left = list(ours)

    def add_ours(key: tuple[str, str], name: str = "") -> None:
        for row in [row for row in left if (row.method, row.backbone) == key]:
            mark = f" \\[{notes.index(row.measured_on) + 1}]" if row.measured_on else ""
            table.add_row(name, f"ours{mark}", *(_cell(row.figures.get(column)) for column in columns))
            left.remove(row)
            name = ""

    for printed in spec["rows"]:
        key = (printed["method"], printed.get("backbone", ""))
        name = _name(*key) + ("*" if "doubt" in printed else "")
        table.add_row(name, "paper", *(_cell(printed.get(column)) for column in columns))
        add_ours(key)
    for key in dict.fromkeys((row.method, row.backbone) for row in left):
        add_ours(key, _name(*key))
    return PaperTable(f"Table {spec['number']}. {spec['title']}", table, notes, _doubts(spec["rows"]))


def _doubts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each doubt, with the methods it is about."""
    methods: dict[str, list[str]] = {}
    for row in rows:
        if "doubt" in row:
            methods.setdefault(row["doubt"], []).append(row["method"])
    return [f"{' and '.join(dict.fromkeys(names))}: {doubt}" for doubt, names in methods.items()]


def _name(method: str, backbone: str) -> str:
    return f"{method}, {backbone}" if backbone else method


def _heading(column: str) -> str:
    return " ".join(_HEADINGS[part] for part in column.split("."))


def _cell(value: float | str | None) -> str:
    return DASH if value is None else value if isinstance(value, str) else f"{value:.2f}"
