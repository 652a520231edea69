"""`psol index`: the catalog of a data set."""

import os
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog import build_catalog, list_images
from psol_ray.config import DataConfig, result_settings
from psol_ray.demo import NUM_IMAGES, make_demo
from psol_ray.distributed.cluster import connect
from psol_ray.distributed.headers import read_sizes_in_parallel
from psol_ray.distributed.progress import show_progress
from psol_ray.errors import UserError
from psol_ray.pipeline.context import Context
from psol_ray.tables import Provenance

__all__ = ["index"]


def index(context: Context) -> None:
    """List the images, read their sizes, write the catalog; the demo's images are made first."""
    data = context.config.data
    if data.metadata is not None and data.layout != "wsol":
        raise UserError(
            f"data.metadata: found {data.metadata!r} beside data.layout {data.layout}, which has none;"
            " set data.layout to wsol, or leave it out"
        )
    with context.making(Provenance("catalog", _settings(data), {})) as work:
        if work is None:
            return
        root = os.path.abspath(data.root)
        layout: str = data.layout
        if layout == "demo":
            _make_demo(context, root)
            layout = "folder"
        metadata = None if data.metadata is None else os.path.abspath(data.metadata)
        catalog = _with_sizes(context, root, list_images(layout, root, metadata))
        work.stage.write_part("part-00000", catalog, work.made_by)
        unreadable = pc.sum(pc.equal(catalog.column("width"), 0)).as_py() or 0
        classes = len(catalog.column("class_name").unique())
        work.summary.update(images=len(catalog), classes=classes, unreadable=unreadable)


def _settings(data: DataConfig) -> dict[str, Any]:
    """What the catalog depends on: catalogs of layouts without metadata keep their fingerprints."""
    settings = result_settings(data)
    return settings if data.layout == "wsol" else {name: settings[name] for name in settings if name != "metadata"}


def _with_sizes(context: Context, root: str, listing: pa.Table) -> pa.Table:
    """The catalog of a listing; sizes that the layout's own files say are taken from there."""
    if "width" in listing.column_names:
        return listing
    connect(context.config.cluster)
    return build_catalog(listing, read_sizes_in_parallel(root, listing.column("image_id").to_pylist()))


def _make_demo(context: Context, root: str) -> None:
    if os.path.isdir(root):
        make_demo(root)  # complete, or not a demo, which it says
        return
    connect(context.config.cluster)
    with show_progress("Making demo images", NUM_IMAGES) as board:
        make_demo(root, on_progress=lambda done, _: board.set.remote("demo", done))
