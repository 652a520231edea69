"""The listing, a catalog without sizes: built by columns, so that a million images are no Python objects."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.errors import UserError, abbreviate
from psol_ray.tables.schemas import CATALOG, TEST, TRAIN

__all__ = ["LISTING", "TEST", "TRAIN", "build_catalog", "join_splits", "split_table"]

LISTING = pa.schema([field for field in CATALOG if field.name not in ("width", "height")])


def split_table(split: str, image_ids: pa.Array, class_names: pa.Array, gt_boxes: pa.Array) -> pa.Table:
    """One split of a listing, its labels still to come."""
    splits = pa.repeat(pa.scalar(split), len(image_ids))
    columns = {"image_id": image_ids, "class_name": class_names, "split": splits, "gt_boxes": gt_boxes}
    return pa.table(columns)


def join_splits(root: Path, train: pa.Table, test: pa.Table | None) -> pa.Table:
    """The listing of both splits, of schema `LISTING`, sorted by split (train first), class and image.

    Labels number the sorted class names of the training split from 0.

    Raises:
        UserError: a class of the test split has no training image.
    """
    classes = pc.unique(train["class_name"])
    classes = classes.take(pc.sort_indices(classes))
    splits = [_with_labels(root, part, classes) for part in (train, test) if part is not None]
    return pa.concat_tables(splits).combine_chunks()


def _with_labels(root: Path, part: pa.Table, classes: pa.Array) -> pa.Table:
    labels = pc.index_in(part["class_name"], value_set=classes)
    if labels.null_count:
        unknown = pc.unique(part.filter(pc.is_null(labels))["class_name"]).sort().to_pylist()
        raise UserError(
            f"{root}: found {labels.null_count} test images of {len(unknown)} classes without training images"
            f" ({abbreviate(unknown)}), expected classes of the training split; add training images or remove these"
        )
    listed = part.append_column("label", labels).select(LISTING.names).cast(LISTING)
    return listed.sort_by([("label", "ascending"), ("image_id", "ascending")])


def build_catalog(listing: pa.Table, sizes_N2: NDArray[np.integer]) -> pa.Table:
    """A listing and its images' sizes as a table of schema `CATALOG`.

    Args:
        listing: N rows, as from `list_images`.
        sizes_N2: width and height of each image in the same order, (0, 0) for one that cannot be read.
    """
    if sizes_N2.shape != (len(listing), 2):
        raise ValueError(f"sizes have shape {sizes_N2.shape}, expected ({len(listing)}, 2)")
    sizes = {"width": sizes_N2[:, 0], "height": sizes_N2[:, 1]}
    for name, column_N in sizes.items():
        listing = listing.append_column(name, pa.array(column_N.astype(np.int32)))
    return listing.select(CATALOG.names).cast(CATALOG)
