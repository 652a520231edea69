"""Which layout the data of a run have, where the settings leave it to be recognised."""

from dataclasses import replace

from rich.markup import escape

from psol_ray.catalog.layouts import recognise_layout
from psol_ray.catalog.settings import DataConfig
from psol_ray.pipeline.context import Context
from psol_ray.tables.files import absolute

__all__ = ["data_of"]


def data_of(context: Context, *, making: bool = False) -> DataConfig:
    """The settings of the data with a layout that has a name, and whatever `demo` stands for.

    Of `auto` it is that which the run's catalog was made of, so that a run stays what it is; or the one that the data
    are seen to have.

    Args:
        context: the command's.
        making: whether the catalog is about to be made. Then the layout is told, and `--overwrite` is the catalog's.

    Raises:
        UserError: the data have none that can be read, or may have several.
    """
    data = context.config.data
    known = data.layout if making and context.overwrite else context.layout
    if known != "auto":
        return replace(data, layout=known)
    name, seen = recognise_layout(absolute(data.root), data.metadata and absolute(data.metadata))
    if making:
        context.console.print(f"[bold]layout[/]: {name} ({escape(seen)})", soft_wrap=True)
    return replace(data, layout=name)
