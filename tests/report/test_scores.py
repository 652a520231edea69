"""The scores in words and in rows."""

import io
from typing import Any

import pytest
from rich.console import Console

from psol_ray.report.scores import headline, percent, score_table

METRICS: dict[str, Any] = {
    "images": {"train": 1300, "test": 200, "unreadable": 1},
    "pseudo_boxes": {"train": {"gt_known": 0.86, "max_box_acc_v2": 0.7}, "test": {"gt_known": 0.85}},
    "localization": {"gt_known": 0.872, "top1_loc": 0.5, "top5_loc": 0.75, "max_box_acc_v2": 0.8},
    "classification": {"top1": 0.625, "top5": None},
    "baselines": {"whole_image": 0.2, "constant_box": 0.21},
    "coordinates": "original",
    "teacher": "DDT",
}


def printed(metrics: dict[str, Any], width: int = 100) -> list[list[str]]:
    """Cells of the printed table, one list a line."""
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(score_table(metrics, width))
    lines = console.export_text().splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.872, "87.2"), (1.0, "100.0"), (0.0, "0.0"), (0.00049, "0.0"), (None, "\N{EN DASH}")],
)
def test_percent(fraction: float | None, text: str) -> None:
    assert percent(fraction) == text


@pytest.mark.parametrize("width", [40, 62, 76, 200])
def test_no_score_is_cut_off_on_a_narrow_terminal(width: int) -> None:
    lines = printed({**METRICS, "intervals": {"localization": {"gt_known": [0.8, 0.9]}}}, width)
    assert not any("…" in cell for cells in lines for cell in cells)
    assert {"86.0", "87.2", "50.0", "21.0"} <= {cell for cells in lines for cell in cells}


def test_terminal_table_has_every_score() -> None:
    lines = printed(METRICS)
    for expected in (
        ["Pseudo boxes (DDT)", "training images", "86.0", "70.0"],
        ["", "test images", "85.0", ""],
        ["Localizer", "GT-Known", "87.2", "80.0"],
        ["Localizer and classifier", "Top-1 Loc", "50.0", ""],
        ["", "Top-5 Loc", "75.0", ""],
        ["Classifier alone", "top-1", "62.5", ""],
        ["", "top-5", "\N{EN DASH}", ""],
        ["Baselines", "whole image", "20.0", ""],
        ["", "best constant box", "21.0", ""],
        ["1,300 training images, 200 test images, 1 unreadable"],
    ):
        assert expected in lines


def test_terminal_table_without_max_box_acc_v2_has_no_column_for_it() -> None:
    lines = printed({"localization": {"gt_known": 0.5}})
    assert ["Localizer", "GT-Known", "50.0"] in lines
    assert ["Baselines", "whole image", "\N{EN DASH}"] in lines
    assert ["IoU ≥ 0.5"] in lines


def test_terminal_table_says_that_scores_are_of_the_crop() -> None:
    assert ["IoU ≥ 0.5, in the evaluation crop"] in printed({**METRICS, "coordinates": "crop"})


def test_terminal_table_has_intervals_where_they_are_known() -> None:
    intervals = {"localization": {"gt_known": [0.8423, 0.9]}, "pseudo_boxes": {"train": {"gt_known": None}}}
    lines = printed({**METRICS, "intervals": intervals})
    assert ["Localizer", "GT-Known", "87.2", "84.2 to 90.0", "80.0"] in lines
    assert ["Pseudo boxes (DDT)", "training images", "86.0", "", "70.0"] in lines
    assert ["IoU ≥ 0.5; 95 %: bootstrap interval over images"] in lines


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            "The localizer finds the object in 87.2 % of 200 test images (IoU ≥ 0.5); "
            "the pseudo boxes (DDT) in 85.0 %; the best constant box in 21.0 %.",
        ),
        (
            {"pseudo_boxes": {"train": {"gt_known": 0.86}, "test": {"gt_known": None}}},
            "The localizer finds the object in 87.2 % of 200 test images (IoU ≥ 0.5); "
            "the best constant box in 21.0 %; the pseudo boxes it learned from are right in 86.0 % "
            "of the training images.",
        ),
        (
            {"localization": {"gt_known": None}},
            "DDT finds the object in 85.0 % of 200 test images (IoU ≥ 0.5); the best constant box in 21.0 %.",
        ),
        (
            {"localization": {"gt_known": None}, "teacher": "Grad-CAM", "iou_rule": "above", "coordinates": "crop"},
            "Grad-CAM finds the object in 85.0 % of 200 test images (IoU > 0.5, in the evaluation crop); "
            "the best constant box in 21.0 %.",
        ),
        (
            {"localization": {"gt_known": None}, "teacher": "earlier localizer"},
            "The earlier localizer finds the object in 85.0 % of 200 test images (IoU ≥ 0.5); "
            "the best constant box in 21.0 %.",
        ),
        (
            {"localization": {}, "pseudo_boxes": {"train": {"gt_known": 0.86}}},
            "DDT finds the object in 86.0 % of 1,300 training images (IoU ≥ 0.5).",
        ),
        (
            {"localization": {"gt_known": 0.5}, "pseudo_boxes": {}, "baselines": {}, "images": {}},
            "The localizer finds the object in 50.0 % of the test images (IoU ≥ 0.5).",
        ),
        (
            {"localization": {}, "pseudo_boxes": {}},
            "No ground-truth boxes are known for these images, so no box is scored: judge by eye.",
        ),
    ],
)
def test_headline(changes: dict[str, Any], expected: str) -> None:
    assert headline({**METRICS, **changes}).replace("\N{NO-BREAK SPACE}", " ") == expected
