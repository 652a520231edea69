"""`psol export`: boxes in the format of another project."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from rich.markup import escape

from psol_ray.errors import UserError, without_secrets
from psol_ray.evaluation.quality import quality
from psol_ray.formats.base import UNREADABLE_FILE, Origin, whole_folder
from psol_ray.formats.registry import find_format
from psol_ray.pipeline.context import Context
from psol_ray.tables import BOXES, PREDICTIONS
from psol_ray.tables.files import absolute

__all__ = ["LEFT_OUT_FILE", "export"]

LEFT_OUT_FILE = "left_out.csv"
"""Beside the boxes, where some were left out for their quality: image_id and quality."""


def export(context: Context) -> None:
    """Write the boxes of one table in one format into a new folder.

    Raises:
        UserError: the folder is taken, predictions are to have a quality, or see the format.
    """
    config = context.config.export
    table = context.stage(config.table).read(BOXES if config.table == "boxes" else PREDICTIONS)
    table, doubtful = _divide(table, config.min_quality, config.table)
    with whole_folder(config.out) as folder:
        num_unreadable = find_format(config.format).write(folder, context.catalog(), table, _origin(context))
        if len(doubtful):
            _list(folder / LEFT_OUT_FILE, doubtful)
    words = f"{len(table) - num_unreadable:,} boxes in {config.out}"
    if num_unreadable:
        words += f"; unreadable images left out: {num_unreadable:,}, listed in {UNREADABLE_FILE}"
    if len(doubtful):
        words += f"; of quality below {config.min_quality:g}: {len(doubtful):,}, listed in {LEFT_OUT_FILE}"
    context.console.print(f"[bold]export[/]: {escape(words)}", soft_wrap=True)


def _origin(context: Context) -> Origin:
    """Who made the boxes. The images need not be at hand."""
    stage = context.config.export.table
    made_by = context.stage(stage).require()
    title = f"pseudo boxes ({made_by.details.get('title', '?')})" if stage == "boxes" else "predicted boxes"
    root = without_secrets(absolute(context.config.data.root))
    return Origin(title, made_by.fingerprint, made_by.version, root)


def _divide(table: pa.Table, least: float, name: str) -> tuple[pa.Table, pa.Table]:
    """The rows to write, and the doubtful ones with their `quality`; those that could not be read are to be written."""
    if not least:
        return table, table.slice(0, 0)
    if name != "boxes":
        raise UserError(
            "export.min_quality: found it beside predictions, which have none; leave it out, or export boxes"
        )
    table = table.append_column("quality", pa.array(quality(table)))
    doubtful = pc.less(table["quality"], least).fill_null(False)
    return table.filter(pc.invert(doubtful)).drop_columns(["quality"]), table.filter(doubtful)


def _list(path: Path, doubtful: pa.Table) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image_id", "quality"])
        for batch in doubtful.select(["image_id", "quality"]).to_batches():
            names, values = (column.to_pylist() for column in batch.columns)
            writer.writerows([name, f"{value:.3f}"] for name, value in zip(names, values, strict=True))
