"""The `maps` stage: class maps of test images, kept beside the boxes that were drawn from them.

It has no command of its own. Whoever makes boxes from class maps claims it after the boxes' stage, writes each part
before the same part of the boxes, and completes it first, so that complete boxes have complete maps. The threshold is
no part of its provenance: maps of another threshold's boxes are the same.
"""

import pyarrow as pa

from psol_ray.pipeline.context import Context, Work
from psol_ray.tables import MAPS, Provenance

__all__ = ["claim_maps", "complete_maps", "maps_of", "read_maps"]

_METHODS = ("cam", "grad_cam")


def maps_of(context: Context, boxes_made_by: Provenance) -> Work:
    """The maps that belong to these boxes, whether they are there or not."""
    settings = {name: value for name, value in boxes_made_by.config.items() if name != "threshold"}
    return Work(context.stage("maps"), Provenance("maps", settings, boxes_made_by.inputs))


def claim_maps(context: Context, boxes_made_by: Provenance) -> Work:
    """Claim the stage for the maps that belong to these boxes; those that are there already stay.

    Raises:
        UserError: it holds others, and `--overwrite` is not given.
    """
    work = maps_of(context, boxes_made_by)
    work.stage.begin(work.made_by, overwrite=context.overwrite)
    return work


def complete_maps(work: Work) -> None:
    """Declare the maps complete."""
    work.stage.complete(work.made_by, {"images": len(work.stage.read_parts(MAPS, ["image_id"]))})


def read_maps(context: Context) -> pa.Table | None:
    """The maps table of this run's boxes; None where those are of another method, or their maps are not there."""
    boxes_made_by = context.stage("boxes").made_by()
    if boxes_made_by is None or boxes_made_by.config.get("method") not in _METHODS:
        return None
    wanted = maps_of(context, boxes_made_by)
    found = wanted.stage.made_by()
    if found is None or found.fingerprint != wanted.made_by.fingerprint:
        return None
    return wanted.stage.read(MAPS)
