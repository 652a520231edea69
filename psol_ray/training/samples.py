"""What a network learns from: the training images, their labels, and the boxes that DDT drew on them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.geometry.boxes import area
from psol_ray.tables.schemas import UNREADABLE, boxes_array

__all__ = ["Samples", "collect_samples"]


@dataclass(frozen=True)
class Samples:
    """Training images, column by column.

    `image_ids` are below the data root; `sizes_N2` is (width, height); `boxes_N4` is in pixels, or None where no box
    is learned. `num_left_out` counts images without a usable box or with an unreadable header.
    """

    image_ids: NDArray[np.object_]
    sizes_N2: NDArray[np.int32]
    labels_N: NDArray[np.int64]
    boxes_N4: NDArray[np.float64] | None
    num_classes: int
    num_left_out: int

    def __len__(self) -> int:
        return len(self.image_ids)


def collect_samples(catalog: pa.Table, boxes: pa.Table | None) -> Samples:
    """Join the training split of the catalog with its pseudo boxes.

    Args:
        catalog: a catalog table.
        boxes: a boxes table of the same catalog, or None for a network without a box head.

    Raises:
        UserError: the boxes are of another catalog, or nothing is left to learn from.
    """
    train = catalog.filter(pc.field("split") == "train")
    num_classes = int(pc.max(catalog.column("label")).as_py()) + 1
    usable_N = train.column("width").to_numpy() > 0
    boxes_N4 = None
    if boxes is not None:
        rows_N = pc.index_in(train.column("image_id"), boxes.column("image_id").combine_chunks())
        if rows_N.null_count:
            first = train.column("image_id")[pc.index(rows_N.is_null(), True).as_py()]
            raise UserError(
                f"boxes: {rows_N.null_count} of {len(train)} training images have no row, the first is {first};"
                " run `psol boxes` on this catalog"
            )
        boxes = boxes.take(rows_N)
        boxes_N4 = boxes_array(boxes)
        usable_N &= (boxes.column("status").to_numpy(zero_copy_only=False) != UNREADABLE) & (area(boxes_N4) > 0)
    if not usable_N.any():
        raise UserError(f"nothing to learn from: none of {len(train)} training images can be read and has a box")
    train = train.filter(pa.array(usable_N))
    return Samples(
        image_ids=train.column("image_id").to_numpy(zero_copy_only=False),
        sizes_N2=np.stack([train.column(name).to_numpy() for name in ("width", "height")], axis=1),
        labels_N=train.column("label").to_numpy().astype(np.int64),
        boxes_N4=None if boxes_N4 is None else boxes_N4[usable_N],
        num_classes=num_classes,
        num_left_out=int((~usable_N).sum()),
    )
