"""`psol evaluate`: metrics.json and the table of scores."""

import json
from typing import Any

from psol_ray.errors import UserError
from psol_ray.evaluation import evaluate
from psol_ray.pipeline.context import Context
from psol_ray.report import score_table
from psol_ray.tables import BOXES, PREDICTIONS

__all__ = ["METRICS_FILE", "read_metrics", "score"]

METRICS_FILE = "metrics.json"


def score(context: Context) -> None:
    """Score pseudo boxes and predictions against the ground truth; takes seconds, so it is simply done again."""
    boxes, predictions = (context.stage(name) for name in ("boxes", "predictions"))
    metrics = evaluate(context.catalog(), boxes.read(BOXES), predictions.read(PREDICTIONS))
    context.run_dir.write_text(METRICS_FILE, json.dumps(metrics, indent=2) + "\n")
    context.console.print(score_table(metrics))


def read_metrics(context: Context) -> dict[str, Any]:
    """The metrics that `score` wrote.

    Raises:
        UserError: there are none yet.
    """
    text = context.run_dir.read_text(METRICS_FILE)
    if text is None:
        raise UserError(f"{context.config.run_dir}: found no {METRICS_FILE}; run `psol evaluate` first")
    return json.loads(text)
