"""`psol report --tables RUN...`: the paper's tables, with what these runs have measured."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow.compute as pc
import yaml
from rich.console import Console

from psol_ray.errors import UserError
from psol_ray.evaluation import Protocol, evaluate
from psol_ray.models.costs import Cost, cost
from psol_ray.pipeline.evaluate import teacher_of
from psol_ray.report import RunRow, paper_tables
from psol_ray.tables import BOXES, CATALOG, PREDICTIONS, Provenance, RunDir

__all__ = ["print_tables"]

_CROP_SHARE = 224 / 256
_DATA_SETS = ("cub", "imagenet")
# VGG-GAP's parameters are printed for CUB's classes, all others' for ImageNet's.
_PRINTED_CLASSES = {"vgg_gap": 200}
_OF_PAPER = ("vgg16", "vgg_gap", "resnet50", "inception_v3", "densenet161")
_RULE = (
    "In percent. Ours are scored as the paper's are: in its centre crop, right above an IoU of 0.5, means of class"
    " means. A dash: there is no such figure; ?: it could not be looked up in the paper."
)
_WIDTH = 126  # of the widest table, which is not to be cut to a narrow terminal


def print_tables(run_dirs: Sequence[str]) -> None:
    """Print every table; takes seconds a run.

    Raises:
        UserError: a run directory holds no catalog, or is of data that the paper does not have.
    """
    rows = [*_costs(), *(row for run_dir in run_dirs for row in _rows(run_dir))]
    console = Console()
    console.width = max(console.width, _WIDTH)
    for title, table, notes in paper_tables(rows):
        console.print(f"[bold]{title}[/]")
        console.print("no figures, neither the paper's nor of these runs" if table is None else table)
        for number, note in enumerate(notes, 1):
            console.print(f"\\[{number}] {note}", soft_wrap=True, highlight=False)
        console.print()
    console.print(_RULE, soft_wrap=True, highlight=False)


def _costs() -> Iterator[RunRow]:
    """Table 2's first columns are known without a run."""
    for backbone in _OF_PAPER:
        classes = _PRINTED_CLASSES.get(backbone, 1000)
        for method, networks in (("PSOL-Sep", [(1, None), (0, classes)]), ("PSOL-Joint", [(1, classes)])):
            yield RunRow(2, method, backbone, "", _cost_figures([cost(backbone, *network) for network in networks]))


def _cost_figures(costs: Sequence[Cost]) -> dict[str, float]:
    # Rounded before they are added, as the paper's are.
    return {
        "parameters": sum(round(each.parameters / 1e6, 2) for each in costs),
        "flops": sum(round(each.convolutions / 1e9, 2) for each in costs),
    }


def _rows(run_dir: str) -> Iterator[RunRow]:
    """What a run says in every table."""
    stages = RunDir(run_dir)
    made_by = {name: stages.stage(name).made_by() for name in ("catalog", "boxes", "predictions")}
    if made_by["catalog"] is None:
        raise UserError(f"{run_dir}: found no complete catalog, expected the run_dir of a run; give another one")
    data = made_by["catalog"].config.get("layout")
    if data not in _DATA_SETS:
        raise UserError(
            f"{run_dir}: found data of layout {data}, expected one of {', '.join(_DATA_SETS)}; leave it away"
        )
    if (predicted := made_by["predictions"]) and "classifiers" not in predicted.config:
        raise UserError(
            f"{run_dir}: found predictions of an earlier version, which do not say whose they are;"
            " run `psol predict --overwrite` on it"
        )
    metrics = _metrics(stages, made_by)
    measured_on = _describe(run_dir, stages, made_by)

    def figures(group: dict[str, Any], names: Sequence[str]) -> dict[str, float | None]:
        return {f"{data}.{name}": 100 * group[name] if group[name] is not None else None for name in names}

    of_classes = metrics["mean_of_classes"]
    if (boxes := made_by["boxes"]) and of_classes["pseudo_boxes"]["test"]["gt_known"] is not None:
        method = teacher_of(boxes)
        if method in ("DDT", "CAM", "Grad-CAM"):
            backbone = boxes.config.get("backbone") or boxes.config["classifier"]["backbone"]
            yield RunRow(1, method, backbone, measured_on, figures(of_classes["pseudo_boxes"]["test"], ["gt_known"]))
    if predicted:
        number, method, backbone = _place(stages, predicted)
        names = {2: ["top1_loc", "top5_loc", "gt_known"], 3: ["gt_known"], 4: ["top1_loc", "top5_loc"]}[number]
        yield RunRow(number, method, backbone, measured_on, figures(of_classes["localization"], names))


def _metrics(stages: RunDir, made_by: dict[str, Provenance | None]) -> dict[str, Any]:
    predicted = made_by["predictions"]
    share = predicted.config.get("crop_share", _CROP_SHARE) if predicted else _CROP_SHARE
    boxes = stages.stage("boxes").read(BOXES) if made_by["boxes"] else BOXES.empty_table()
    predictions = stages.stage("predictions").read(PREDICTIONS) if predicted else PREDICTIONS.empty_table()
    return evaluate(stages.stage("catalog").read(CATALOG), boxes, predictions, Protocol(share, above=True)).metrics


def _place(stages: RunDir, predicted: Provenance) -> tuple[int, str, str]:
    """The table that predictions belong to, and their row."""
    config = predicted.config
    own = {name: stages.stage(name).made_by() for name in ("localizer", "joint")}
    name = config.get("localizer")
    if name not in own:
        return 3, f"from {_origin(stages)}", ""
    made_by = own[name]
    backbone = made_by.config["backbone"] if made_by else "?"
    classifiers = config["classifiers"]
    if classifiers == ["joint"]:
        return 2, "PSOL-Joint", backbone
    if classifiers == ["classifier"]:
        return 2, "PSOL-Sep", backbone
    names = [c if isinstance(c, str) else c["backbone"] for c in classifiers]
    return 4, f"{backbone} with {' + '.join(names) or 'no classifier'}", ""


def _origin(stages: RunDir) -> str:
    """Where a localizer of another run has learned."""
    path = PurePosixPath(yaml.safe_load(stages.read_text("config.yaml") or "{}")["predict"]["localizer"])
    other = RunDir(str(path.parent.parent)).stage("catalog").made_by()
    return str(other.config.get("layout")) if other else path.parent.parent.name


def _describe(run_dir: str, stages: RunDir, made_by: dict[str, Provenance | None]) -> str:
    catalog = stages.stage("catalog").read(CATALOG, ["split", "label"])
    counts = {split: pc.sum(pc.equal(catalog["split"], split)).as_py() or 0 for split in ("train", "test")}
    classes = len(pc.unique(catalog["label"]))
    words = [f"{run_dir}: {classes:,} classes, {counts['train']:,} training and {counts['test']:,} test images"]
    predicted = made_by["predictions"]
    if predicted is None:
        return words[0]
    own = {name: stages.stage(name).made_by() for name in ("localizer", "joint")}
    words += [f"{name} at {made.config['input_size'] or 'its own'} pixels" for name, made in own.items() if made]
    words.append({"whole": "whole images", "center": "centre crops"}[predicted.config["view"]])
    if predicted.config["class_view"] == "ten":
        words.append("ten crops for classes")
    return ", ".join(words)
