"""`psol report --tables RUN...`: the paper's tables, with what these runs have measured."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from rich.console import Console

from psol_ray.errors import UserError
from psol_ray.evaluation import Protocol, evaluate
from psol_ray.models.costs import Cost, cost
from psol_ray.pipeline.measured_run import MeasuredRun
from psol_ray.report import RunRow, paper_tables

__all__ = ["print_tables"]

_CROP_SHARE, _INCEPTION_SHARE = 224 / 256, 299 / 320
_DATA_SETS = ("cub", "imagenet")
_OF_PAPER = ("vgg16", "vgg_gap", "resnet50", "inception_v3", "densenet161")
# VGG-GAP's parameters are printed for CUB's classes, all others' for ImageNet's.
_PRINTED_CLASSES = {"vgg_gap": 200}
_FIGURES = {2: ("top1_loc", "top5_loc", "gt_known"), 3: ("gt_known",), 4: ("top1_loc", "top5_loc")}
_RULE = (
    "In percent. Ours are scored as the paper's are: in its centre crop, right above an IoU of 0.5, means of class"
    " means. A dash: there is no such figure; ?: it could not be looked up in the paper."
)
_WIDTH = 160  # of the widest table, which is not to be cut to a narrow terminal


def print_tables(run_dirs: Sequence[str]) -> None:
    """Print every table; takes seconds a run.

    Raises:
        UserError: a run directory holds no catalog, or is of data that the paper does not have.
    """
    rows = list(_costs())
    unused, seen = [], set[str]()
    for run_dir in run_dirs:
        run = MeasuredRun.read(run_dir)
        found = list(_rows(run))
        unused += [] if found else [run_dir]
        # Boxes that several runs have learned from are one row.
        boxes = run.made_by["boxes"].fingerprint if "boxes" in run.made_by else ""
        rows += [row for row in found if row.table != 1 or boxes not in seen]
        seen.add(boxes)
    console = Console()
    console.width = max(console.width, _WIDTH)
    for title, table, notes in paper_tables(rows):
        console.print(f"[bold]{title}[/]")
        console.print("no figures, neither the paper's nor of these runs" if table is None else table)
        for number, note in enumerate(notes, 1):
            console.print(f"\\[{number}] {note}", soft_wrap=True, highlight=False)
        console.print()
    console.print(_RULE, soft_wrap=True, highlight=False)
    for run_dir in unused:
        console.print(f"{run_dir}: nothing for these tables", soft_wrap=True, highlight=False)


def _costs() -> Iterator[RunRow]:
    """Table 2's first columns are known without a run."""
    for backbone in _OF_PAPER:
        classes = _PRINTED_CLASSES.get(backbone, 1000)
        for method, networks in (("PSOL-Sep", [(1, None), (0, classes)]), ("PSOL-Joint", [(1, classes)])):
            costs = [cost(backbone, *network) for network in networks]
            yield RunRow(2, method, backbone, f"{classes:,} classes, at the paper's input size", _cost_figures(costs))


def _cost_figures(costs: Sequence[Cost]) -> dict[str, float]:
    # Rounded before they are added, as the paper's are.
    return {
        "parameters": sum(round(each.parameters / 1e6, 2) for each in costs),
        "flops": sum(round(each.convolutions / 1e9, 2) for each in costs),
    }


def _rows(run: MeasuredRun) -> Iterator[RunRow]:
    """What a run says in every table."""
    if run.data_set not in _DATA_SETS:
        raise UserError(
            f"{run.run_dir}: found data of layout {run.data_set}, expected {' or '.join(_DATA_SETS)}; leave it out"
        )
    boxes = run.boxes_row()
    if boxes is not None:
        means = _means(run, _CROP_SHARE)["pseudo_boxes"]["test"]
        if means["gt_known"] is not None:
            yield RunRow(1, *boxes, _percent(run, means, ("gt_known",)))
    predictions = run.predictions_row()
    if predictions is not None:
        number, method, backbone, note = predictions
        share = _INCEPTION_SHARE if run.localizer_backbone == "inception_v3" else _CROP_SHARE
        figures: dict[str, float | None] = {**_percent(run, _means(run, share)["localization"], _FIGURES[number])}
        if number == 2:
            figures |= _cost_figures([cost(*network) for network in run.own_networks()])
        yield RunRow(number, method, backbone, note, figures)


@cache
def _means(run: MeasuredRun, share: float) -> dict[str, Any]:
    try:
        found = evaluate(run.catalog, run.boxes, run.predictions, Protocol(share, above=True))
    except UserError as error:
        raise UserError(f"{run.run_dir}: {error}") from None
    return found.metrics["mean_of_classes"]


def _percent(run: MeasuredRun, means: dict[str, Any], names: Sequence[str]) -> dict[str, float | None]:
    return {f"{run.data_set}.{name}": None if means[name] is None else 100 * means[name] for name in names}
