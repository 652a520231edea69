"""`psol index`: the catalog of a data set."""

import os
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.layouts import list_images
from psol_ray.catalog.listing import build_catalog
from psol_ray.catalog.settings import DataConfig
from psol_ray.errors import UserError
from psol_ray.pipeline.context import Context
from psol_ray.tables import Provenance
from psol_ray.tables.boxes_table import image_sizes

__all__ = ["check", "index", "provenance"]


def index(context: Context) -> None:
    """List the images, read their sizes, write the catalog; the demo's images are made first."""
    check(context)
    made_by = provenance(context)
    if context.is_complete(made_by):
        return
    data = context.config.data
    with context.making(made_by) as work:
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


def provenance(context: Context) -> Provenance:
    """What would make this run's catalog."""
    return Provenance("catalog", _depends_on(context.config.data), {})


def check(context: Context) -> None:
    """Raise a UserError where settings contradict each other."""
    data = context.config.data
    if data.metadata is not None and data.layout != "wsol":
        raise UserError(
            f"data.metadata: found {data.metadata!r} beside data.layout {data.layout}, which has none;"
            " set data.layout to wsol, or leave it out"
        )


def _depends_on(data: DataConfig) -> dict[str, Any]:
    """What the catalog depends on, by name."""
    metadata = {"metadata": data.metadata} if data.layout == "wsol" else {}
    return {"root": data.root, "layout": data.layout, "max_pixels": data.max_pixels, **metadata}


def _with_sizes(context: Context, root: str, listing: pa.Table) -> pa.Table:
    """The catalog of a listing; sizes that the layout's own files say are taken from there."""
    max_pixels = context.config.data.max_pixels
    if "width" not in listing.column_names:
        image_ids = listing.column("image_id").to_pylist()
        return build_catalog(listing, context.executor.read_sizes(root, image_ids, max_pixels))
    sizes_N2 = image_sizes(listing)
    sizes_N2[sizes_N2.prod(axis=1) > max_pixels] = 0
    return build_catalog(listing.drop_columns(["width", "height"]), sizes_N2)


def _make_demo(context: Context, root: str) -> None:
    # Late: only the demo needs what draws its images.
    from psol_ray.demo import NUM_IMAGES, make_demo

    if os.path.isdir(root):
        make_demo(root)  # complete, or not a demo, which it says
        return
    with context.executor.progress("Making demo images", NUM_IMAGES) as progress:
        make_demo(root, on_progress=lambda done, _: progress(done))
