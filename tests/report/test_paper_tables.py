"""The paper's tables with rows of runs in them."""

import io

from rich.console import Console
from rich.table import Table

from psol_ray.report import RunRow, paper_tables
from psol_ray.report.scores import DASH


def cells(table: Table | None) -> list[list[str]]:
    """Cells of a printed table, one list a line, without its head."""
    assert table is not None
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(table)
    lines = [line for line in console.export_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_without_a_run_there_are_the_paper_s_figures_alone() -> None:
    tables = paper_tables([])
    assert [title.split(".")[0] for title, _, _ in tables] == [f"Table {number}" for number in range(1, 6)]
    assert [table is None for _, table, _ in tables] == [False, False, True, False, True]
    assert all(notes == [] for *_, notes in tables)
    rows = cells(tables[1][1])
    assert rows[0] == ["PSOL-Sep, vgg16", "paper", "274.72", "30.83", "66.3", "84.1", DASH, "50.9", "60.9", "64.0"]
    assert rows[1] == ["PSOL-Joint, vgg16", "paper", "140.46", "15.42", "?", "?", DASH, "?", "?", "?"]


def test_a_run_stands_below_the_paper_s_row_of_its_method_and_backbone() -> None:
    rows = [
        RunRow(1, "DDT", "vgg16", "first", {"cub.gt_known": 87.654}),
        RunRow(1, "DDT", "vgg16", "second", {"imagenet.gt_known": 60.0}),
        RunRow(1, "CAM", "vgg_gap", "first", {"cub.gt_known": 50.0}),
        RunRow(3, "from cub", "", "second", {"imagenet.gt_known": 10.0}),
    ]
    (_, first, notes), _, (_, third, of_third), *_ = paper_tables(rows)
    assert cells(first)[:4] == [
        ["DDT, vgg16", "paper", "84.55", "?"],
        ["", "ours [1]", "87.65", DASH],
        ["", "ours [2]", DASH, "60.00"],
        ["DDT, resnet50", "paper", "?", "?"],
    ]
    assert cells(first)[-1] == ["CAM, vgg_gap", "ours [1]", "50.00", DASH]
    assert notes == ["first", "second"]
    assert cells(third) == [["from cub", "ours [1]", DASH, "10.00"]]
    assert of_third == ["second"]
