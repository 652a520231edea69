"""`psol report`: the page with pictures, from tables, scores and curves alone."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.evaluation.evaluate import evaluate
from psol_ray.evaluation.ground_truth import has_truth
from psol_ray.evaluation.stage import read_scores
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.evaluate import generator_title, read_boxes, read_metrics, read_predictions
from psol_ray.report.heats import heat_records, map_records
from psol_ray.report.pace import Pace, make_pace, read_written
from psol_ray.report.page import render_page
from psol_ray.stages import STAGES
from psol_ray.tables import StageDir
from psol_ray.tables.file_names import HISTORY_FILE
from psol_ray.tables.schemas import HEAT, MAPS

__all__ = ["report"]


def report(context: Context, title: str | None = None) -> None:
    """Write report/index.html and say where it is. Its title is the run directory's name, where no other is given.

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
        title=title or PurePosixPath(context.run_dir.location).name,
        data_root=context.data_root,
        **tables,
        scores=scores,
        metrics=metrics,
        curves=curves,
        paces=_paces(stages),
        heats=partial(_heats, context),
        made_by={name: json.loads(provenance.to_json()) for name, provenance in made_by.items()},
    )
    context.run_dir.write_text("report/index.html", page)
    context.console.print(f"Report: {context.run_dir.address}/report/index.html", soft_wrap=True, markup=False)


def _heats(context: Context, image_ids: Sequence[str]) -> dict[str, Any]:
    """What the boxes of these images were drawn around, where that was kept."""
    made_by = context.stage("boxes").made_by()
    tables = made_by.details.get("tables", {}) if made_by else {}

    def rows(name: str, schema: pa.Schema) -> pa.Table | None:
        stage = context.stage(name)
        found = stage.made_by()
        if name not in tables or found is None or found.fingerprint != tables[name]:
            return None
        # Part by part: of a million images a few hundred are looked at.
        return stage.read_parts(schema, keep=lambda part: part.filter(pc.field("image_id").isin(image_ids)))

    if (heat := rows("heat", HEAT)) is not None:
        return heat_records(heat)
    if made_by and (maps := rows("maps", MAPS)) is not None:
        return map_records(maps, made_by.config["threshold"])
    return {}


def _paces(stages: Mapping[str, StageDir]) -> list[Pace]:
    made = (make_pace(name, read_written(stages[name]), stages[name].summary()) for name in ("boxes", "predictions"))
    return [pace for pace in made if pace is not None]


def _scores(context: Context, tables: Mapping[str, pa.Table]) -> tuple[pa.Table, dict[str, Any]]:
    """The scores table and the metrics: of boxes alone, without ground truth, there is nothing to evaluate before."""
    if context.stage("scores").made_by() or has_truth(tables["catalog"]) or len(tables["predictions"]):
        return read_scores(context.run_dir), read_metrics(context)
    made = evaluate(**tables)
    return made.scores, {**made.metrics, "teacher": generator_title(context)}
