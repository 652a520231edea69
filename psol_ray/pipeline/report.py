"""`psol report`: the page with pictures."""

import json
from pathlib import PurePosixPath

from psol_ray.distributed.diary import HISTORY_FILE
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.evaluate import read_boxes, read_metrics, read_predictions
from psol_ray.report import render_page

__all__ = ["report"]

_STAGES = ("catalog", "boxes", "maps", "localizer", "classifier", "joint", "predictions")


def report(context: Context) -> None:
    """Write report/index.html and say where it is."""
    stages = {name: context.stage(name) for name in _STAGES}
    made_by = {name: found for name, stage in stages.items() if (found := stage.made_by())}
    curves = {
        name: [json.loads(line) for line in text.splitlines()]
        for name in ("localizer", "classifier", "joint")
        if (text := stages[name].read_text(HISTORY_FILE))
    }
    page = render_page(
        title=PurePosixPath(context.run_dir.location).name,
        data_root=context.data_root,
        catalog=context.catalog(),
        boxes=read_boxes(context),
        predictions=read_predictions(context),
        metrics=read_metrics(context),
        curves=curves,
        made_by={name: json.loads(found.to_json()) for name, found in made_by.items()},
    )
    context.run_dir.write_text("report/index.html", page)
    context.console.print(f"Report: {context.run_dir.location}/report/index.html", soft_wrap=True)
