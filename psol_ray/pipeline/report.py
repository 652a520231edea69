"""`psol report`: the page with pictures, from tables, scores and curves alone."""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.evaluation.evaluate import evaluate
from psol_ray.evaluation.stage import read_scores
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.evaluate import generator_title, read_boxes, read_metrics, read_predictions
from psol_ray.report.page import render_page
from psol_ray.stages import STAGES
from psol_ray.tables.file_names import HISTORY_FILE

__all__ = ["report"]


def report(context: Context) -> None:
    """Write report/index.html and say where it is.

    Raises:
        UserError: a table is missing, or the scores are not those of the tables.
    """
    stages = {name: context.stage(name) for name in STAGES}
    made_by = {name: provenance for name, stage in stages.items() if (provenance := stage.made_by())}
    curves = {
        name: [json.loads(line) for line in text.splitlines()]
        for name, stage in stages.items()
        if (text := stage.read_text(HISTORY_FILE))
    }
    tables = {"catalog": context.catalog(), "boxes": read_boxes(context), "predictions": read_predictions(context)}
    scores, metrics = _scores(context, tables)
    page = render_page(
        title=PurePosixPath(context.run_dir.location).name,
        data_root=context.data_root,
        **tables,
        scores=scores,
        metrics=metrics,
        curves=curves,
        made_by={name: json.loads(provenance.to_json()) for name, provenance in made_by.items()},
    )
    context.run_dir.write_text("report/index.html", page)
    context.console.print(f"Report: {context.run_dir.address}/report/index.html", soft_wrap=True, markup=False)


def _scores(context: Context, tables: Mapping[str, pa.Table]) -> tuple[pa.Table, dict[str, Any]]:
    """The scores table and the metrics: of boxes alone, without ground truth, there is nothing to evaluate before."""
    truth = pc.any(pc.greater(pc.list_value_length(tables["catalog"]["gt_boxes"]), 0)).as_py()
    if context.stage("scores").made_by() or truth or len(tables["predictions"]):
        return read_scores(context.run_dir), read_metrics(context)
    made = evaluate(**tables)
    return made.scores, {**made.metrics, "teacher": generator_title(context)}
