"""The paper's tables with rows of runs in them."""

import io

from rich.console import Console
from rich.table import Table

from psol_ray.report.paper_tables import RunRow, make_tables
from psol_ray.report.scores import DASH


def cells(table: Table) -> list[list[str]]:
    """Cells of a printed table, one list a line, without its head."""
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(table)
    lines = [line for line in console.export_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_without_a_run_there_are_the_paper_s_figures_alone() -> None:
    tables = make_tables([])
    assert [table.title.split(".")[0] for table in tables] == [f"Table {number}" for number in range(1, 6)]
    assert [len(cells(table.table)) for table in tables] == [7, 22, 10, 8, 10]
    assert all(table.notes == [] for table in tables)
    rows = cells(tables[1].table)
    assert rows[6] == ["PSOL-Sep, vgg16", "paper", "274.72", "30.83", "66.30", "84.05", DASH, "50.89", "60.90", "64.03"]
    assert rows[7] == [
        "PSOL-Joint, vgg16",
        "paper",
        "140.46",
        "15.42",
        "60.07",
        "75.35",
        DASH,
        "48.83",
        "59.00",
        "62.1",
    ]
    assert ["PSOL-Sep, densenet161", "paper", "64.2"] in cells(tables[4].table)


def test_the_paper_s_tables_agree_where_they_repeat_a_figure() -> None:
    first, second, third, fourth, fifth = ({row[0]: row[2:] for row in cells(table.table)} for table in make_tables([]))
    for name in ("DDT, vgg16", "ACoL, vgg_gap", "SPG, inception_v3"):
        assert first[name][1] == second[name][-1]  # GT-Known on ImageNet
    assert first["CAM, vgg_gap"][1] == second["CAM, vgg_gap*"][-1]
    for method, backbone in (("CAM", "vgg_gap"), ("ACoL", "vgg_gap"), ("SPG", "inception_v3")):
        fine_tuned = third[f"{method}, all layers fine-tuned, {backbone}"]
        assert first[f"{method}, {backbone}"][0] == fine_tuned[0]  # GT-Known on CUB
    for name in ("PSOL-Sep, vgg16", "PSOL-Sep, densenet161"):
        assert float(fifth[name][0]) == round(float(second[name][-2]), 1)  # Top-5 Loc on ImageNet
    # The abstract's.
    assert second["PSOL-Sep, densenet161"][2] == "74.97"
    assert fourth["densenet161 with tf_efficientnet_b7"][2] == "58.00"


def test_a_row_whose_cells_the_paper_leaves_open_has_a_star_and_a_reason() -> None:
    table = make_tables([])[1]
    starred = {row[0].partition(",")[0] for row in cells(table.table) if row[0].endswith("*")}
    assert starred == {"CAM", "ADL", "CutMix", "Grad-CAM"}
    assert [doubt.partition(":")[0] for doubt in table.doubts] == ["CAM", "ADL and CutMix", "Grad-CAM"]


def test_a_run_stands_below_the_paper_s_row_of_its_method_and_backbone() -> None:
    rows = [
        RunRow(1, "DDT", "vgg16", "first", {"cub.gt_known": 87.654}),
        RunRow(1, "DDT", "vgg16", "second", {"imagenet.gt_known": 60.0}),
        RunRow(1, "CAM", "resnet50", "first", {"cub.gt_known": 50.0}),
        RunRow(3, "from cub", "vgg16", "second", {"imagenet.gt_known": 10.0}),
    ]
    first, _, third, *_ = make_tables(rows)
    assert cells(first.table)[4:8] == [
        ["DDT, vgg16", "paper", "84.55", "61.41"],
        ["", "ours [1]", "87.65", DASH],
        ["", "ours [2]", DASH, "60.00"],
        ["DDT, inception_v3", "paper", "51.80", "51.87"],
    ]
    assert cells(first.table)[-1] == ["CAM, resnet50", "ours [1]", "50.00", DASH]
    assert first.notes == ["first", "second"]
    assert cells(third.table)[-1] == ["from cub, vgg16", "ours [1]", DASH, "10.00"]
    assert third.notes == ["second"]
