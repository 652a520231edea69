"""The listing, a catalog without sizes: built by columns, so that a million images are no Python objects."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.passed_over import PassedOver
from psol_ray.catalog.unicode_forms import composed
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath
from psol_ray.tables.schemas import CATALOG, TEST, TRAIN

__all__ = ["FILES", "LISTING", "SIDES", "TEST", "TRAIN", "Listing", "build_catalog", "join_splits", "split_table"]

SIDES = ("width", "height")

FILES = pa.schema(
    [
        ("bytes", pa.int64()),  # size of the image; -1 where it is away, or was not looked for
        ("modified", pa.int64()),  # when its file was written last, in nanoseconds since 1970; -1 likewise
    ]
)
"""Columns that a catalog has beside those of `CATALOG`, by which its images' files are known again."""

LISTING = pa.schema([field for field in CATALOG if field.name not in SIDES])


@dataclass(frozen=True)
class Listing:
    """What a layout's reader finds.

    Attributes:
        images: a table of schema `LISTING`, or `CATALOG` where the layout's own files say sizes, whatever
            `data.max_pixels` is.
        annotations: the files that say classes or boxes, those that were found and read.
        passed_over: what is there and is not in `images`.
        remarks: what else to tell of it, a few words each.
        gaps: in what it is not whole, a sentence each: the index is made, and ends with exit code 3.
        annotated_sizes: `image_id`, `width` and `height` of images as their annotations say them; compared with the
            images' own (`catalog.said_sizes`).
        files: a table of schema `FILES`, a row an image, where the listing has seen sizes and times itself.
    """

    images: pa.Table
    annotations: Sequence[DataPath] = ()
    passed_over: PassedOver = field(default_factory=Counter)
    remarks: Sequence[str] = ()
    gaps: Sequence[str] = ()
    annotated_sizes: pa.Table | None = None
    files: pa.Table | None = None


def split_table(split: str, image_ids: pa.Array, class_names: pa.Array, gt_boxes: pa.Array) -> pa.Table:
    """One split of a listing, its labels still to come; class names in Unicode's composed form, whatever theirs is."""
    splits = pa.repeat(pa.scalar(split), len(image_ids))
    columns = {"image_id": image_ids, "class_name": composed(class_names), "split": splits, "gt_boxes": gt_boxes}
    return pa.table(columns)


def join_splits(root: DataPath, train: pa.Table, test: pa.Table | None, **found: Any) -> Listing:
    """The listing of both splits, sorted by split (train first), class and image.

    Labels number the sorted class names of the training split from 0. `found` are the listing's other fields.

    Raises:
        UserError: a class of the test split has no training image.
    """
    classes = pc.unique(train["class_name"])
    classes = classes.take(pc.sort_indices(classes))
    splits = [_with_labels(root, part, classes) for part in (train, test) if part is not None]
    return Listing(pa.concat_tables(splits).combine_chunks(), **found)


def _with_labels(root: DataPath, part: pa.Table, classes: pa.Array) -> pa.Table:
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
        sizes_N2: width and height of each image in the same order, as from `read_sizes`.
    """
    if sizes_N2.shape != (len(listing), 2):
        raise ValueError(f"sizes have shape {sizes_N2.shape}, expected ({len(listing)}, 2)")
    sizes = {"width": sizes_N2[:, 0], "height": sizes_N2[:, 1]}
    for name, column_N in sizes.items():
        listing = listing.append_column(name, pa.array(np.maximum(column_N, 0).astype(np.int32)))
    return listing.select(CATALOG.names).cast(CATALOG)
