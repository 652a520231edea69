"""`psol paper-tables RUN...`: the paper's tables, with what these runs have measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from psol_ray.errors import UserError
from psol_ray.report.paper_tables import RunRow, make_tables
from psol_ray.report.run_summary import NetworkSpec, RunSummary
from psol_ray.tables.schemas import TEST

__all__ = ["paper_tables"]

_DATA_SETS = ("cub", "imagenet")
_BACKBONES = ("vgg16", "vgg_gap", "resnet50", "inception_v3", "densenet161")
# VGG-GAP's parameters are printed for CUB's classes, all others' for ImageNet's.
_PRINTED_CLASSES = {"vgg_gap": 200}
_COLUMNS = {
    2: ("top1_loc", "top5_loc", "gt_known"),
    3: ("gt_known",),
    4: ("top1_loc", "top5_loc"),
}
_RULE = (
    "Localization in percent. Runs are scored as the paper scores: in its centre crop, right above an IoU of 0.5, means"
    " of class means. A dash: there is no such figure. A star: the paper leaves cells of this row empty."
)
_WIDTH = 160  # of the widest table, which is not to be cut to a narrow terminal


def paper_tables(run_dirs: Sequence[str]) -> None:
    """Print every table; takes seconds a run.

    Raises:
        UserError: a run directory holds no catalog or no scores, or is of data that the paper does not have.
    """
    rows = list(_published_costs())
    unused, seen = [], set[str]()
    for run_dir in run_dirs:
        run = RunSummary.read(run_dir)
        rows_of_run = list(_rows(run))
        unused += [] if rows_of_run else [run_dir]
        # Boxes that several runs have learned from are one row.
        boxes = run.made_by["boxes"].fingerprint if "boxes" in run.made_by else ""
        rows += [row for row in rows_of_run if row.table != 1 or boxes not in seen]
        seen.add(boxes)
    _print(rows)
    for run_dir in unused:
        print(f"{run_dir}: nothing for these tables")


def _print(rows: Sequence[RunRow]) -> None:
    console = Console()
    console.width = max(console.width, _WIDTH)
    for title, table, notes, doubts in make_tables(rows):
        console.print(f"[bold]{title}[/]")
        console.print(table)
        marked = [
            *(f"[{number}] {note}" for number, note in enumerate(notes, 1)),
            *(f"* {doubt}" for doubt in doubts),
        ]
        for line in marked:
            console.print(line, soft_wrap=True, highlight=False, markup=False)
        console.print()
    console.print(_RULE, soft_wrap=True, highlight=False)


def _published_costs() -> Iterator[RunRow]:
    """Table 2's first columns are known without a run."""
    for backbone in _BACKBONES:
        classes = _PRINTED_CLASSES.get(backbone, 1000)
        for method, heads in (("PSOL-Sep", [(1, None), (0, classes)]), ("PSOL-Joint", [(1, classes)])):
            networks = [NetworkSpec(backbone, *head, None) for head in heads]
            yield RunRow(2, method, backbone, f"{classes:,} classes, at the paper's input size", _costs(networks))


def _costs(networks: Sequence[NetworkSpec]) -> dict[str, float]:
    # Late: building networks takes the seconds of torch, and nothing else here does.
    from psol_ray.models.costs import cost

    costs = [cost(*network) for network in networks]
    # Rounded before they are added, as the paper's are.
    return {
        "parameters": sum(round(each.parameters / 1e6, 2) for each in costs),
        "flops": sum(round(each.convolutions / 1e9, 2) for each in costs),
    }


def _rows(run: RunSummary) -> Iterator[RunRow]:
    """What a run says in every table."""
    if run.data_set not in _DATA_SETS:
        raise UserError(
            f"{run.run_dir}: found data of layout {run.data_set}, expected {' or '.join(_DATA_SETS)}; leave it out"
        )
    boxes = run.boxes_row()
    if boxes is not None:
        means = run.papers_means["pseudo_boxes"][TEST]
        if means["gt_known"] is not None:
            yield RunRow(*boxes, _percent(run, means, ("gt_known",)))
    predictions = run.predictions_row()
    if predictions is None:
        return
    means, number = run.papers_means["localization"], predictions.table
    figures = _percent(run, means, _COLUMNS[number])
    yield RunRow(*predictions, figures | (_costs(run.networks()) if number == 2 else {}))
    # Table 5 repeats Table 2's.
    if predictions.method == "PSOL-Sep" and run.data_set == "imagenet":
        yield RunRow(5, *predictions[1:], _percent(run, means, ("top5_loc",)))


def _percent(run: RunSummary, means: Mapping[str, Any], names: Sequence[str]) -> dict[str, float | None]:
    return {f"{run.data_set}.{name}": None if means[name] is None else 100 * means[name] for name in names}
