"""`psol pack`: the images of a run's catalog in tar shards."""

import pyarrow as pa
import pyarrow.compute as pc
from rich.markup import escape

from psol_ray.catalog.listing import FILES
from psol_ray.catalog.pack import pack as pack_images
from psol_ray.errors import UserError, abbreviate
from psol_ray.pipeline.context import Context
from psol_ray.tables import CATALOG
from psol_ray.tables.files import open_uri
from psol_ray.tables.folder import Folder
from psol_ray.tables.schemas import PLACES
from psol_ray.work.progress import ProgressTracker, draw_progress

__all__ = ["pack"]

_MB = 10**6


def pack(context: Context) -> None:
    """Write the images into shards.

    Raises:
        UserError: there is no catalog, or its images are not there any more; or `pack.out` is not empty.
    """
    config, stage = context.config.pack, context.stage("catalog")
    if config.out is None:
        raise UserError("pack.out: found nothing, expected where the shards are to go; give a folder or a URI")
    in_shards = stage.require().details.get("places")
    images = stage.read(
        pa.schema([*CATALOG, *FILES, *([each for each in PLACES if each.name != "bytes"] if in_shards else [])])
    )
    out = Folder(*open_uri("pack.out", config.out))
    tracker = ProgressTracker()
    with draw_progress("Packing images", len(images), tracker.snapshot):
        packed = pack_images(
            images, context.data_root, out, config.shard_mb * _MB, lambda done: tracker.update("pack", done)
        )
    shards, total = pc.count_distinct(packed["shard"]).as_py(), pc.sum(packed["bytes"]).as_py()
    words = (
        f"{len(packed):,} images, {total / 1e9:.2f} GB, in {shards:,} shards; read them with --data.root {out.address}"
        " --data.layout webdataset"
    )
    context.console.print(f"[bold]pack[/]: {escape(words)}", soft_wrap=True)
    away = images.filter(pc.less(images["bytes"], 0))["image_id"].to_pylist()
    if away:
        context.gaps.append(
            f"pack: {len(away):,} images could not be opened when they were indexed, and are in no shard"
            f" ({abbreviate(away)}); bring them back, and begin with `psol index --overwrite`"
        )
