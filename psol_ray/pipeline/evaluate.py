"""`psol evaluate`: the scores table, metrics.json, per_class.csv, and the scores on the terminal."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.csv

from psol_ray.errors import UserError
from psol_ray.evaluation.evaluate import evaluate as score_run
from psol_ray.evaluation.scoring import ScoringProtocol
from psol_ray.evaluation.settings import EvaluateConfig
from psol_ray.evaluation.stage import write_scores
from psol_ray.geometry.crops import PAPER_CROP_SHARE
from psol_ray.pipeline.context import Context
from psol_ray.report.scores import score_table
from psol_ray.tables.schemas import BOXES, MAPS, PREDICTIONS

__all__ = ["evaluate", "generator_title", "read_boxes", "read_maps", "read_metrics", "read_predictions"]

_METRICS_FILE = "metrics.json"
_CLASSES_FILE = "per_class.csv"
_PAPERS_OWN_CROP = "inception_v3"  # the one network that the paper evaluates in another crop than 224/256


def evaluate(context: Context) -> None:
    """Score pseudo boxes and predictions against the ground truth; takes seconds, so it is simply done again."""
    config, catalog = context.config.evaluate, context.catalog()
    predicted = _details(context, "predictions")
    protocol, paper_share = _protocol(config, predicted), _paper_share(predicted)
    scores, metrics, classes, remarks = score_run(
        catalog, read_boxes(context), read_predictions(context), protocol, paper_share
    )
    metrics["teacher"] = generator_title(context)
    if swept := _sweep(context, catalog):
        metrics["intervals"]["threshold_sweep"] = swept.pop("intervals")
        metrics["threshold_sweep"] = swept
    settings = {
        "coordinates": config.coordinates,
        "iou_rule": config.iou_rule,
        "crop_share": protocol.crop_share,
        "paper_crop_share": paper_share,
    }
    write_scores(context.run_dir, scores, settings)
    context.run_dir.write_text(_METRICS_FILE, json.dumps(metrics, indent=2) + "\n")
    context.run_dir.write_text(_CLASSES_FILE, _csv(classes))
    context.console.print(score_table(metrics, context.console.width))
    for remark in remarks:
        context.console.print(remark, soft_wrap=True, highlight=False, markup=False)


def _details(context: Context, stage: str) -> Mapping[str, Any]:
    made_by = context.stage(stage).made_by()
    return made_by.details if made_by else {}


def _protocol(config: EvaluateConfig, predicted: Mapping[str, Any]) -> ScoringProtocol:
    """How to score a run: where the crop counts, it is the one that its localizer would see."""
    share = predicted.get("crop_share", PAPER_CROP_SHARE) if config.coordinates == "crop" else None
    return ScoringProtocol(share, above=config.iou_rule == "above")


def _paper_share(predicted: Mapping[str, Any]) -> float:
    """The crop in which the paper would score this localizer."""
    own = predicted.get("localizer", {}).get("backbone") == _PAPERS_OWN_CROP
    return predicted["crop_share"] if own else PAPER_CROP_SHARE


def generator_title(context: Context) -> str | None:
    """Who drew the pseudo boxes, in words; None where there are none."""
    made_by = context.stage("boxes").made_by()
    return None if made_by is None else made_by.details.get("title", "unnamed generator")


def _sweep(context: Context, catalog: pa.Table) -> dict[str, Any] | None:
    """What the best threshold would make of class maps, if the boxes came of some; in coordinates of whole images."""
    maps = read_maps(context)
    if maps is None:
        return None
    # Late: only class maps need OpenCV.
    from psol_ray.evaluation.sweep import sweep

    return sweep(catalog, maps)


def read_boxes(context: Context) -> pa.Table:
    """Read the pseudo boxes: an empty table in a run of predictions alone, by a localizer of another run.

    Raises:
        UserError: there are neither boxes nor predictions.
    """
    stage = context.stage("boxes")
    alone = context.stage("predictions").made_by() is not None and not stage.is_there()
    return BOXES.empty_table() if alone else stage.read(BOXES)


def read_predictions(context: Context) -> pa.Table:
    """Read the predictions: an empty table where nothing is predicted yet, since pseudo boxes can be scored alone."""
    stage = context.stage("predictions")
    return PREDICTIONS.empty_table() if stage.made_by() is None else stage.read(PREDICTIONS)


def read_maps(context: Context) -> pa.Table | None:
    """Read the maps that this run's boxes were drawn from; None where they are of others, or not complete."""
    wanted = _details(context, "boxes").get("tables", {}).get("maps")
    stage = context.stage("maps")
    made_by = stage.made_by()
    return stage.read(MAPS) if wanted and made_by and made_by.fingerprint == wanted else None


def read_metrics(context: Context) -> dict[str, Any]:
    """Read the metrics that `psol evaluate` wrote.

    Raises:
        UserError: there are none yet.
    """
    text = context.run_dir.read_text(_METRICS_FILE)
    if text is None:
        raise UserError(f"{context.config.run_dir}: found no {_METRICS_FILE}; run `psol evaluate` first")
    return json.loads(text)


def _csv(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue().to_pybytes().decode()
