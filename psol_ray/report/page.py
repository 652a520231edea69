"""The page: one file, nothing fetched, the same bytes for the same tables."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from psol_ray.evaluation import Protocol
from psol_ray.report.cards import Card, make_cards
from psol_ray.report.charts import make_charts, make_sweep_chart
from psol_ray.report.classes import class_tables
from psol_ray.report.gallery import CORRECT, Rows, SplitView, failures, gains, per_class_rows, spread, view_split
from psol_ray.report.scores import between, counts, headline, how_scored, percent, score_rows, teacher_of
from psol_ray.tables.schemas import UNREADABLE

__all__ = ["render_page"]

NUM_LISTED_UNREADABLE = 20


def render_page(
    *,
    title: str,
    data_root: str,
    catalog: pa.Table,
    boxes: pa.Table,
    predictions: pa.Table,
    metrics: Mapping[str, Any],
    curves: Mapping[str, list[dict[str, Any]]],
    made_by: Mapping[str, Mapping[str, Any]],
) -> str:
    """A run as one HTML file that carries its images inside itself.

    Args:
        title: name of the data set.
        data_root: folder that every `image_id` is below; images that cannot be read become grey placeholders.
        catalog: table of `psol_ray.tables.schemas`, as `boxes` and `predictions` are; ground truth, the test
            split, and the rows of the other two may be missing.
        boxes: what the localizer's teacher drew, on any split.
        predictions: what localizer and classifier said, on the test split.
        metrics: content of `metrics.json`.
        curves: "localizer" and "classifier" to the lines of their `metrics.jsonl`.
        made_by: stage name to its provenance: stage, fingerprint, version, config.

    Returns:
        HTML of a few MB at most, whatever the number of classes and images.
    """
    swept = metrics.get("threshold_sweep")
    context = {
        "title": title,
        "headline": headline(metrics),
        "teacher": teacher_of(metrics),
        "counts": counts(metrics),
        "scores": score_rows(metrics),
        "rule": how_scored(metrics),
        "in_crop": metrics.get("coordinates") == "crop",
        "charts": make_charts(curves),
        "sweep": make_sweep_chart(teacher_of(metrics), swept) if swept else None,
        "best_threshold": swept["best_threshold"] if swept else None,
        "made_by": made_by,
        "unreadable": _unreadable(catalog, boxes, predictions),
        "num_listed": NUM_LISTED_UNREADABLE,
        "classes": class_tables(catalog, boxes, predictions, Protocol.of(metrics)),
        **_pictures(Path(data_root), catalog, boxes, predictions, teacher_of(metrics)),
    }
    return _environment().get_template("page.html").render(context)


def _pictures(root: Path, catalog: pa.Table, boxes: pa.Table, predictions: pa.Table, teacher: str) -> dict[str, Any]:
    names = _class_names(catalog)
    test, train = (view_split(split, catalog, boxes, predictions) for split in ("test", "train"))

    def cards(view: SplitView, rows: Rows) -> list[Card]:
        return make_cards(view, rows, root, names, teacher)

    gallery = [cards(test, rows) for rows in per_class_rows(test)]
    return {
        "num_classes": len(names),
        "gallery": [(shown[0].class_name, shown) for shown in gallery],
        "has_truth": not np.isnan([test.ddt_iou_N, test.localizer_iou_N]).all(),
        "num_compared": int((~np.isnan(test.localizer_iou_N)).sum()),
        "num_failures": int((test.localizer_iou_N < CORRECT).sum()),
        "failures": cards(test, failures(test)),
        "num_gains": int((test.localizer_iou_N > test.ddt_iou_N).sum()),
        "gains": cards(test, gains(test)),
        "train": cards(train, spread(train)),
    }


def _class_names(catalog: pa.Table) -> dict[int, str]:
    classes = catalog.group_by(["label", "class_name"]).aggregate([]).sort_by("label")
    return dict(zip(classes["label"].to_pylist(), classes["class_name"].to_pylist(), strict=True))


def _unreadable(catalog: pa.Table, boxes: pa.Table, predictions: pa.Table) -> list[str]:
    """Every image that the catalog, the teacher or the localizer could not read."""
    found = [
        catalog.filter(pc.equal(catalog["width"], 0))["image_id"],
        boxes.filter(pc.equal(boxes["status"], UNREADABLE))["image_id"],
        predictions.filter(pc.is_nan(predictions["x0"]))["image_id"],
    ]
    return sorted({image_id for column in found for image_id in column.to_pylist()})


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("psol_ray.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["between"] = between
    environment.filters["breakable"] = _breakable
    environment.filters["as_json"] = lambda value: json.dumps(
        value, indent=2, sort_keys=True, ensure_ascii=False, default=str
    )
    return environment


def _breakable(name: str) -> Markup:
    """A class name or path that may be broken after an underscore or a slash."""
    return Markup(str(escape(name)).replace("_", "_<wbr>").replace("/", "/<wbr>"))
