"""The page: one file, nothing fetched, the same bytes for the same tables."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from psol_ray.report.assets import load_assets
from psol_ray.report.cards import Card, make_cards
from psol_ray.report.charts import make_charts, make_sweep_chart
from psol_ray.report.classes import class_tables
from psol_ray.report.comparison import compare
from psol_ray.report.gallery import ImageRows, SplitView, failures, gains, per_class_rows, spread, view_split
from psol_ray.report.histograms import histograms, places
from psol_ray.report.pace import Pace
from psol_ray.report.scores import between, counts, headline, how_scored, percent, score_rows, signed
from psol_ray.report.sheet import as_script, choose, sheet_images
from psol_ray.report.suspects import suspects
from psol_ray.tables.schemas import TEST, TRAIN

__all__ = ["render_page"]

NUM_LISTED_UNREADABLE = 20
NUM_LISTED_SUSPECTS = 30
NUM_WITHOUT_SCRIPT = 12


def render_page(
    *,
    title: str,
    data_root: str,
    catalog: pa.Table,
    boxes: pa.Table,
    predictions: pa.Table,
    scores: pa.Table,
    metrics: Mapping[str, Any],
    curves: Mapping[str, list[dict[str, Any]]],
    made_by: Mapping[str, Mapping[str, Any]],
    heats: Callable[[Sequence[str]], Mapping[str, Any]] = lambda _: {},
    paces: Sequence[Pace] = (),
) -> str:
    """Render a run as one HTML file that carries its images inside itself.

    Args:
        title: name of the data set.
        data_root: folder that every `image_id` is below; images that cannot be read become grey placeholders.
        catalog: table of `psol_ray.tables.schemas`, as `boxes` and `predictions` are; ground truth, the test
            split, and the rows of the other two may be missing.
        boxes: the pseudo boxes, on any split.
        predictions: what localizer and classifier said, on the test split.
        scores: of these boxes and predictions, a row for each image of the catalog.
        metrics: content of `metrics.json`.
        curves: "localizer" and "classifier" to the lines of their `metrics.jsonl`.
        made_by: stage name to its provenance: stage, fingerprint, version, config.
        heats: of these image ids, those maps of heat that are known, as `heat_records` makes them.
        paces: how fast its stages were made.

    Returns:
        HTML of less than 25 MB, whatever the number of classes and images.
    """
    swept, generator = metrics.get("threshold_sweep"), metrics.get("teacher")
    context = {
        "title": title,
        "headline": headline(metrics),
        "generator": generator,
        "counts": counts(metrics),
        "scores": score_rows(metrics),
        "rule": how_scored(metrics),
        "sign": ">" if metrics.get("iou_rule") == "above" else "≥",
        "in_crop": metrics.get("coordinates") == "crop",
        "crop_share": metrics.get("crop_share"),
        "charts": make_charts(curves),
        "sweep": make_sweep_chart(str(generator), swept) if swept else None,
        "best_threshold": swept["best_threshold"] if swept else None,
        "made_by": made_by,
        "unreadable": sorted(scores.filter(pc.invert(scores["readable"]))["image_id"].to_pylist()),
        "num_listed": NUM_LISTED_UNREADABLE,
        "num_classes": len(pc.unique(catalog["label"])),
        "classes": class_tables(scores),
        "suspects": suspects(boxes, catalog),
        "num_suspects_listed": NUM_LISTED_SUSPECTS,
        "paces": paces,
        "assets": load_assets(),
        **_pictures(data_root, str(generator), heats, catalog, boxes, predictions, scores),
    }
    if context["sheet"] is not None:
        # By it a review knows its boxes again.
        fingerprint = made_by.get("boxes", {}).get("fingerprint")
        context["sheet"]["data"] |= {"run": title, "boxes": fingerprint, "generator": str(generator)}
    return _environment().get_template("page.html").render(context)


def _pictures(
    root: str, generator: str, heats: Callable[[Sequence[str]], Mapping[str, Any]], *tables: pa.Table
) -> dict[str, Any]:
    test, train = (view_split(split, *tables) for split in (TEST, TRAIN))

    def cards(view: SplitView, rows: ImageRows) -> list[Card]:
        return make_cards(view, rows, root, generator)

    gallery = [cards(test, rows) for rows in per_class_rows(test)]
    return {
        "gallery": [(shown[0].class_name, shown) for shown in gallery],
        "has_truth": not np.isnan([test.pseudo_iou_N, test.localizer_iou_N]).all(),
        "num_compared": int((~np.isnan(test.localizer_iou_N)).sum()),
        "num_failures": int(test.wrong_N.sum()),
        "failures": cards(test, failures(test)),
        "num_gains": int((test.localizer_iou_N > test.pseudo_iou_N).sum()),
        "gains": cards(test, gains(test)),
        "comparison": compare(test, generator),
        "train": cards(train, spread(train)),
        "histograms": histograms({TEST: test, TRAIN: train}, generator),
        "places": places([test, train], generator),
        "sheet": _sheet([test, train], root, generator, heats),
    }


def _sheet(
    views: list[SplitView], root: str, generator: str, heats: Callable[[Sequence[str]], Mapping[str, Any]]
) -> dict[str, Any] | None:
    """What the contact sheet shows, first without its script; None where no image has a box."""
    chosen = choose(views)
    ids = [view.images["image_id"][row].as_py() for view, row, _ in chosen]
    known = heats(ids)
    images = sheet_images(chosen, root, known)
    if not images:
        return None
    first = [make_cards(view, np.array([row]), root, generator)[0] for view, row, _ in chosen[:NUM_WITHOUT_SCRIPT]]
    boxed = [~np.isnan(view.pseudo_N4[:, 0]) | ~np.isnan(view.localizer_N4[:, 0]) for view in views]
    return {
        "cards": first,
        "num_images": len(images),
        "num_boxed": sum(int(boxed_N.sum()) for boxed_N in boxed),
        "has_heat": bool(known),
        "data": {"images": images},
    }


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
    environment.filters["signed"] = signed
    environment.filters["breakable"] = _breakable
    environment.filters["as_script"] = as_script
    environment.filters["as_json"] = lambda value: json.dumps(
        value, indent=2, sort_keys=True, ensure_ascii=False, default=str
    )
    return environment


def _breakable(name: str) -> Markup:
    """A class name or path that may be broken after an underscore or a slash."""
    return Markup(str(escape(name)).replace("_", "_<wbr>").replace("/", "/<wbr>"))
