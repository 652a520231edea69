"""`psol export`: boxes in the format of another project."""

import csv
import math
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
from psol_ray.tables.schemas import REJECTED

__all__ = ["LEFT_OUT_FILE", "export"]

LEFT_OUT_FILE = "left_out.csv"
"""Beside the boxes, where some were left out for their quality, or rejected: image_id, status, quality."""


def export(context: Context) -> None:
    """Write the boxes of one table in one format into a new folder.

    Raises:
        UserError: the folder is taken, predictions are to have a quality, or see the format.
    """
    # Arrow's own pool keeps what it has freed: of a million boxes a quarter of a gigabyte more.
    pa.set_memory_pool(pa.system_memory_pool())
    config = context.config.export
    table = context.stage(config.table).read(BOXES if config.table == "boxes" else PREDICTIONS)
    table, left_out = _divide(table, config.min_quality)
    with whole_folder(config.out) as folder:
        num_unreadable = find_format(config.format).write(folder, context.catalog(), table, _origin(context))
        if len(left_out):
            _list(folder / LEFT_OUT_FILE, left_out)
    words = f"{len(table) - num_unreadable:,} boxes in {config.out}"
    if num_unreadable:
        words += f"; unreadable images left out: {num_unreadable:,}, listed in {UNREADABLE_FILE}"
    if len(left_out):
        below = f"of quality below {config.min_quality:g}, " if config.min_quality else ""
        words += f"; left out, {below}or rejected: {len(left_out):,}, listed in {LEFT_OUT_FILE}"
    context.console.print(f"[bold]export[/]: {escape(words)}", soft_wrap=True)


def _origin(context: Context) -> Origin:
    """Who made the boxes. The images need not be at hand."""
    stage = context.config.export.table
    made_by = context.stage(stage).require()
    title = f"pseudo boxes ({made_by.details.get('title', '?')})" if stage == "boxes" else "predicted boxes"
    root = without_secrets(absolute(context.config.data.root))
    return Origin(title, made_by.fingerprint, made_by.version, root)


def _divide(table: pa.Table, least: float) -> tuple[pa.Table, pa.Table]:
    """The rows to write, and those to leave out, each of boxes with their `quality`.

    What could not be read has none, and is for the format to list.
    """
    if "status" not in table.column_names:
        if least:
            raise UserError(
                "export.min_quality: found it beside predictions, which have none; leave it out, or set export.table to"
                " boxes"
            )
        return table, table.slice(0, 0)
    # Of the whole table: it is relative to the others.
    table = table.append_column("quality", pa.array(quality(table)))
    doubtful = pc.fill_null(pc.less(table["quality"], least), False)
    leave_out = pc.or_(doubtful, pc.equal(table["status"], REJECTED))
    if not pc.any(leave_out).as_py():  # of a million rows a copy is a hundred megabytes
        return table, table.slice(0, 0)
    return table.filter(pc.invert(leave_out)), table.filter(leave_out)


def _list(path: Path, left_out: pa.Table) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image_id", "status", "quality"])
        for batch in left_out.select(["image_id", "status", "quality"]).to_batches():
            rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            writer.writerows([name, why, "" if math.isnan(value) else f"{value:.3f}"] for name, why, value in rows)
