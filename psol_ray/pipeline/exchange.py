"""`psol export`: boxes in the formats of other projects."""

from psol_ray.exchange import FORMATS
from psol_ray.pipeline.context import Context
from psol_ray.tables import BOXES, PREDICTIONS

__all__ = ["export"]


def export(context: Context) -> None:
    """Write the boxes of one table in one format into a new folder."""
    config = context.config.export
    table = context.stage(config.table).read(BOXES if config.table == "boxes" else PREDICTIONS)
    left_out = FORMATS[config.format](config.out, context.catalog(), table)
    context.console.print(
        f"[bold]export[/]: {len(table) - left_out:,} boxes in {config.out}, {left_out:,} without a box left out",
        soft_wrap=True,
    )
