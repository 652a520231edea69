"""`psol import` and `psol export`: boxes in the formats of other projects."""

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.errors import UserError
from psol_ray.exchange import FORMATS, hash_boxes, read_boxes
from psol_ray.pipeline.context import Context
from psol_ray.tables import BOXES, PREDICTIONS, Provenance
from psol_ray.tables.schemas import NO_FOREGROUND, UNREADABLE

__all__ = ["export", "import_boxes"]


def import_boxes(context: Context) -> None:
    """Take somebody's boxes for this run's, of all images of a split or of both; what is malformed leaves no trace."""
    source = context.config.source
    if source.path is None:
        raise UserError("source.path: found none, expected the folder that holds the boxes; give its path")
    catalog_made_by = context.stage("catalog").require()
    catalog = context.catalog()
    boxes = read_boxes(source.format, source.path, catalog, source.threshold)
    # What the boxes are, not where they lie.
    settings = {"imported": source.format, "boxes_hash": hash_boxes(boxes)}
    if source.format == "wsol_maps":
        settings["threshold"] = source.threshold
    with context.making(Provenance("boxes", settings, {"catalog": catalog_made_by.fingerprint})) as work:
        if work is None:
            return
        work.stage.write_part("part-00000", boxes, work.made_by)
        work.summary.update(_summarize(catalog, boxes))


def _summarize(catalog: pa.Table, boxes: pa.Table) -> dict[str, int]:
    rows = pc.index_in(boxes.column("image_id"), value_set=catalog.column("image_id").combine_chunks())
    columns = {"split": catalog.column("split").take(rows), "status": boxes.column("status")}
    count = {name: pc.value_counts(column).to_pylist() for name, column in columns.items()}
    found = {row["values"]: row["counts"] for counts in count.values() for row in counts}
    return {
        "training_images": found.get("train", 0),
        "test_images": found.get("test", 0),
        "without_foreground": found.get(NO_FOREGROUND, 0),
        "unreadable": found.get(UNREADABLE, 0),
    }


def export(context: Context) -> None:
    """Write the boxes of one table in one format into a new folder."""
    config = context.config.export
    table = context.stage(config.table).read(BOXES if config.table == "boxes" else PREDICTIONS)
    left_out = FORMATS[config.format](config.out, context.catalog(), table)
    context.console.print(
        f"[bold]export[/]: {len(table) - left_out:,} boxes in {config.out}, {left_out:,} without a box left out",
        soft_wrap=True,
    )
