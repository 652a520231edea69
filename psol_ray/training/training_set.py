"""Collects the training set: the training images, their labels, and their pseudo boxes."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.geometry.boxes import area
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.schemas import TRAIN, WITHOUT_BOX, boxes_array, place_columns

__all__ = ["TrainingSet", "collect_training_set"]


@dataclass(frozen=True)
class TrainingSet:
    """Training images, column by column.

    `images` are catalog rows: which images, and where they are; as a table, because all workers of a machine share
    its memory. `sizes_N2` is (width, height); `boxes_N4` is in pixels, or None where no box is learned.
    `num_left_out` counts images without a usable box or with an unreadable header.
    """

    images: pa.Table
    sizes_N2: NDArray[np.int32]
    labels_N: NDArray[np.int64]
    boxes_N4: NDArray[np.float64] | None
    num_classes: int
    num_left_out: int

    def __len__(self) -> int:
        return len(self.images)


def collect_training_set(catalog: pa.Table, boxes: pa.Table | None) -> TrainingSet:
    """Join the training split of the catalog with its pseudo boxes.

    A box that reaches beyond its image is cut off there; an image whose box then has no area is left out.

    Args:
        catalog: a catalog table.
        boxes: a boxes table of the same catalog, or None for a network without a box head.

    Raises:
        UserError: the boxes are of another catalog, labels do not number the classes, or nothing is left to learn from.
    """
    num_classes = _count_classes(catalog)
    train = catalog.filter(pc.field("split") == TRAIN)
    usable_N = train.column("width").to_numpy() > 0
    boxes_N4 = None
    if boxes is not None:
        boxes = _rows_of(train, boxes)
        boxes_N4 = _clipped(boxes)
        usable_N &= ~np.isin(boxes.column("status").to_numpy(zero_copy_only=False), WITHOUT_BOX) & (area(boxes_N4) > 0)
    if not usable_N.any():
        raise UserError(f"nothing to learn from: none of {len(train)} training images can be read and has a box")
    train = train.filter(pa.array(usable_N))
    return TrainingSet(
        images=place_columns(train).combine_chunks(),
        sizes_N2=image_sizes(train).astype(np.int32),
        labels_N=train.column("label").to_numpy().astype(np.int64),
        boxes_N4=None if boxes_N4 is None else boxes_N4[usable_N],
        num_classes=num_classes,
        num_left_out=int((~usable_N).sum()),
    )


def _count_classes(catalog: pa.Table) -> int:
    """Classes of a catalog whose labels are 0, 1, 2 and so on."""
    num_classes = pc.count_distinct(catalog.column("class_name")).as_py()
    known = pa.array(range(num_classes), pa.int32())
    bad = catalog.filter(pc.invert(pc.is_in(catalog.column("label"), known)))
    if len(bad):
        image_id, label = bad.column("image_id")[0].as_py(), bad.column("label")[0].as_py()
        raise UserError(
            f"catalog: image {image_id} has the label {label}, and {num_classes} classes have 0 to {num_classes - 1};"
            " make it anew with `psol index --overwrite`"
        )
    return num_classes


def _rows_of(train: pa.Table, boxes: pa.Table) -> pa.Table:
    """The boxes of these images, in their order."""
    rows_N = pc.index_in(train.column("image_id"), boxes.column("image_id").combine_chunks())
    if rows_N.null_count:
        first = train.column("image_id")[pc.index(rows_N.is_null(), True).as_py()]
        raise UserError(
            f"boxes: {rows_N.null_count} of {len(train)} training images have no row, the first is {first};"
            " run `psol boxes` on this catalog"
        )
    boxes = boxes.take(rows_N)
    # Boxes of DDT depend on the class: what else is in it.
    for name in ("label", "width", "height"):
        other_N = boxes.column(name).to_numpy() != train.column(name).to_numpy()
        if other_N.any():
            row = int(other_N.argmax())
            raise UserError(
                f"boxes: {train.column('image_id')[row]} has a {name} of {boxes.column(name)[row]} there and of"
                f" {train.column(name)[row]} in the catalog; run `psol boxes` on this catalog"
            )
    return boxes


def _clipped(boxes: pa.Table) -> NDArray[np.float64]:
    """Corners, moved into the image; of a box that is not a number they are 0."""
    corners_N4 = boxes_array(boxes)
    corners_N4[~np.isfinite(corners_N4).all(axis=1)] = 0
    return np.clip(corners_N4, 0, np.tile(image_sizes(boxes), 2))
