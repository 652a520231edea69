"""`psol export`: boxes in the format of another project."""

from rich.markup import escape

from psol_ray.formats.base import UNREADABLE_FILE
from psol_ray.formats.registry import find_format
from psol_ray.pipeline.context import Context
from psol_ray.tables import BOXES, PREDICTIONS

__all__ = ["export"]


def export(context: Context) -> None:
    """Write the boxes of one table in one format into a new folder."""
    config = context.config.export
    table = context.stage(config.table).read(BOXES if config.table == "boxes" else PREDICTIONS)
    left_out = find_format(config.format).write(config.out, context.catalog(), table)
    words = f"{len(table) - left_out:,} boxes in {config.out}"
    if left_out:
        words += f"; unreadable images left out: {left_out:,}, listed in {UNREADABLE_FILE}"
    context.console.print(f"[bold]export[/]: {escape(words)}", soft_wrap=True)
