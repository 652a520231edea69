"""`psol index`: the catalog of a data set."""

import os

from psol_ray.catalog import build_catalog, list_images
from psol_ray.config import result_settings
from psol_ray.demo import NUM_IMAGES, make_demo
from psol_ray.distributed.cluster import connect
from psol_ray.distributed.headers import read_sizes_in_parallel
from psol_ray.distributed.progress import show_progress
from psol_ray.pipeline.context import Context
from psol_ray.tables import Provenance

__all__ = ["index"]


def index(context: Context) -> None:
    """List the images, read their sizes, write the catalog; the demo's images are made first."""
    data = context.config.data
    with context.making(Provenance("catalog", result_settings(data), {})) as work:
        if work is None:
            return
        root = os.path.abspath(data.root)
        layout: str = data.layout
        if layout == "demo":
            _make_demo(context, root)
            layout = "folder"
        listing = list_images(layout, root)
        connect(context.config.cluster)
        sizes_N2 = read_sizes_in_parallel(root, listing.column("image_id").to_pylist())
        catalog = build_catalog(listing, sizes_N2)
        work.stage.write_part("part-00000", catalog, work.made_by)
        unreadable = int((sizes_N2[:, 0] == 0).sum())
        classes = len(catalog.column("class_name").unique())
        work.summary.update(images=len(catalog), classes=classes, unreadable=unreadable)


def _make_demo(context: Context, root: str) -> None:
    if os.path.isdir(root):
        make_demo(root)  # complete, or not a demo, which it says
        return
    connect(context.config.cluster)
    with show_progress("Making demo images", NUM_IMAGES) as board:
        make_demo(root, on_progress=lambda done, _: board.set.remote("demo", done))
