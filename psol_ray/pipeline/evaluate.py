"""`psol evaluate`: metrics.json and the table of scores."""

import json
from typing import Any

import pyarrow as pa

from psol_ray.errors import UserError
from psol_ray.evaluation import evaluate
from psol_ray.pipeline.context import Context
from psol_ray.report import score_table
from psol_ray.tables import BOXES, PREDICTIONS

__all__ = ["METRICS_FILE", "read_metrics", "read_predictions", "score"]

METRICS_FILE = "metrics.json"


def score(context: Context) -> None:
    """Score pseudo boxes and predictions against the ground truth; takes seconds, so it is simply done again."""
    boxes = context.stage("boxes")
    metrics = evaluate(context.catalog(), boxes.read(BOXES), read_predictions(context))
    made_by = boxes.made_by()
    metrics["teacher"] = "earlier localizer" if made_by and "localizer" in made_by.config else "DDT"
    context.run_dir.write_text(METRICS_FILE, json.dumps(metrics, indent=2) + "\n")
    context.console.print(score_table(metrics))


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
