"""`psol export`: boxes in the format of another project."""

from rich.markup import escape

from psol_ray.errors import without_secrets
from psol_ray.formats.base import UNREADABLE_FILE, Origin
from psol_ray.formats.registry import find_format
from psol_ray.pipeline.context import Context
from psol_ray.tables import BOXES, PREDICTIONS
from psol_ray.tables.files import absolute

__all__ = ["export"]


def export(context: Context) -> None:
    """Write the boxes of one table in one format into a new folder."""
    config = context.config.export
    table = context.stage(config.table).read(BOXES if config.table == "boxes" else PREDICTIONS)
    left_out = find_format(config.format).write(config.out, context.catalog(), table, _origin(context))
    words = f"{len(table) - left_out:,} boxes in {config.out}"
    if left_out:
        words += f"; unreadable images left out: {left_out:,}, listed in {UNREADABLE_FILE}"
    context.console.print(f"[bold]export[/]: {escape(words)}", soft_wrap=True)


def _origin(context: Context) -> Origin:
    """Who made the boxes. The images need not be at hand."""
    stage = context.config.export.table
    made_by = context.stage(stage).require()
    title = f"pseudo boxes ({made_by.details.get('title', '?')})" if stage == "boxes" else "predicted boxes"
    root = without_secrets(absolute(context.config.data.root))
    return Origin(title, made_by.fingerprint, made_by.version, root)
