"""`psol evaluate`: metrics.json, per_class.csv and the table of scores."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.csv

from psol_ray.config import EvaluateConfig
from psol_ray.errors import UserError
from psol_ray.evaluation import Protocol, evaluate
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.maps import read_maps
from psol_ray.report import score_table
from psol_ray.tables import BOXES, PREDICTIONS, Provenance

__all__ = ["METRICS_FILE", "protocol_of", "read_boxes", "read_metrics", "read_predictions", "score", "teacher_of"]

METRICS_FILE = "metrics.json"
CLASSES_FILE = "per_class.csv"
_CROP_SHARE = 224 / 256  # of the paper, where no localizer tells its own


def score(context: Context) -> None:
    """Score pseudo boxes and predictions against the ground truth; takes seconds, so it is simply done again."""
    catalog, protocol = context.catalog(), protocol_of(context, context.config.evaluate)
    found = evaluate(catalog, read_boxes(context), read_predictions(context), protocol)
    metrics = {**found.metrics, "teacher": teacher_of(context.stage("boxes").made_by())}
    if swept := _sweep(context, catalog):
        metrics["intervals"]["threshold_sweep"] = swept.pop("intervals")
        metrics["threshold_sweep"] = swept
    context.run_dir.write_text(METRICS_FILE, json.dumps(metrics, indent=2) + "\n")
    context.run_dir.write_text(CLASSES_FILE, _csv(found.classes))
    context.console.print(score_table(metrics))
    for remark in found.remarks:
        context.console.print(remark, soft_wrap=True, highlight=False)


def _sweep(context: Context, catalog: pa.Table) -> dict[str, Any] | None:
    """What the best threshold would make of class maps, if the boxes came of some; in coordinates of whole images."""
    maps = read_maps(context)
    if maps is None:
        return None
    # Late: only class maps need OpenCV.
    from psol_ray.evaluation.sweep import sweep

    return sweep(catalog, maps)


def protocol_of(context: Context, config: EvaluateConfig) -> Protocol:
    """How to score this run: where the crop counts, it is the one that its localizer would see."""
    made_by = context.stage("predictions").made_by()
    share = made_by.config.get("crop_share", _CROP_SHARE) if made_by else _CROP_SHARE
    return Protocol(share if config.coordinates == "crop" else None, above=config.iou_rule == "above")


def teacher_of(made_by: Provenance | None) -> str | None:
    """Who drew the pseudo boxes, in words; None where there are none."""
    if made_by is None:
        return None
    config = made_by.config
    if "imported" in config:
        return "imported box"
    if "method" in config:
        return {"cam": "CAM", "grad_cam": "Grad-CAM"}[config["method"]]
    return "earlier localizer" if config.get("localizer") else "DDT"


def read_boxes(context: Context) -> pa.Table:
    """The pseudo boxes, or an empty table in a run of predictions alone, by a localizer of another run.

    Raises:
        UserError: there are neither boxes nor predictions.
    """
    stage = context.stage("boxes")
    alone = context.stage("predictions").made_by() is not None and not stage.is_there()
    return BOXES.empty_table() if alone else stage.read(BOXES)


def read_predictions(context: Context) -> pa.Table:
    """The predictions, or an empty table where nothing is predicted yet: pseudo boxes can be scored alone."""
    stage = context.stage("predictions")
    return PREDICTIONS.empty_table() if stage.made_by() is None else stage.read(PREDICTIONS)


def read_metrics(context: Context) -> dict[str, Any]:
    """The metrics that `score` wrote.

    Raises:
        UserError: there are none yet.
    """
    text = context.run_dir.read_text(METRICS_FILE)
    if text is None:
        raise UserError(f"{context.config.run_dir}: found no {METRICS_FILE}; run `psol evaluate` first")
    return json.loads(text)


def _csv(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue().to_pybytes().decode()
