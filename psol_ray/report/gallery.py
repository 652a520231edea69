"""Which images the page shows, chosen with Arrow and NumPy so that a million rows stay columns."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation import image_ious
from psol_ray.tables.schemas import boxes_array

__all__ = [
    "CORRECT",
    "Rows",
    "SplitView",
    "evenly",
    "failures",
    "gains",
    "per_class_rows",
    "spread",
    "view_split",
]

Rows = NDArray[np.int64]

NUM_CLASSES = 12
NUM_PER_CLASS = 4
NUM_HIGHLIGHTS = 12  # failures, gains, training examples: each
CORRECT = 0.5


@dataclass(frozen=True)
class SplitView:
    """One split of the data set with what was found on it; every member is aligned with `images`.

    N images; a box is NaN, and an IoU too, where there is none.
    """

    images: pa.Table  # rows of the catalog
    boxes: pa.Table  # rows of the boxes table, null where an image has none
    predictions: pa.Table  # likewise
    ddt_N4: NDArray[np.float64]
    localizer_N4: NDArray[np.float64]
    ddt_iou_N: NDArray[np.float64]
    localizer_iou_N: NDArray[np.float64]

    @property
    def readable_N(self) -> NDArray[np.bool_]:
        """Whether the catalog could read the image's header."""
        return self.images["width"].to_numpy() > 0


def view_split(split: str, catalog: pa.Table, boxes: pa.Table, predictions: pa.Table) -> SplitView:
    """Bring the three tables together for one split, ordered by label and image_id."""
    images = catalog.filter(pc.equal(catalog["split"], split)).sort_by(
        [("label", "ascending"), ("image_id", "ascending")]
    )
    found = [_align(table, images["image_id"]) for table in (boxes, predictions)]
    corners = [boxes_array(table) for table in found]
    ious = [
        np.where(np.isnan(box_N4).any(axis=1), np.nan, image_ious(images, table))
        for table, box_N4 in zip(found, corners, strict=True)
    ]
    return SplitView(images, *found, *corners, *ious)


def _align(table: pa.Table, image_ids: pa.ChunkedArray) -> pa.Table:
    """Rows of `table` in the order of `image_ids`: nulls, but for the id, where it has none."""
    here = table.filter(pc.is_in(table["image_id"], value_set=image_ids)).combine_chunks()
    taken = here.take(pc.index_in(image_ids, value_set=here["image_id"]))
    return taken.set_column(taken.schema.get_field_index("image_id"), "image_id", image_ids)


def evenly(items: Rows, count: int) -> Rows:
    """At most `count` items at even distances, first and last included."""
    if len(items) <= count:
        return items
    return items[np.linspace(0, len(items) - 1, count).round().astype(int)]


def per_class_rows(view: SplitView) -> list[Rows]:
    """Rows of a few images for each of a few classes."""
    labels = view.images["label"].to_numpy()
    shown = evenly(np.unique(labels[view.readable_N]), NUM_CLASSES)
    return [evenly(np.flatnonzero(view.readable_N & (labels == label)), NUM_PER_CLASS) for label in shown]


def failures(view: SplitView) -> Rows:
    """Rows of the images below the threshold, lowest localizer IoU first."""
    # A comparison with NaN is false: an image without ground truth or box is no failure of the localizer.
    return _first(view.localizer_iou_N < CORRECT, view.localizer_iou_N)


def gains(view: SplitView) -> Rows:
    """Rows of the images where the localizer is better than DDT, largest difference of IoU first."""
    gain_N = view.localizer_iou_N - view.ddt_iou_N
    return _first(gain_N > 0, -gain_N)


def _first(chosen_N: NDArray[np.bool_], order_N: NDArray[np.float64]) -> Rows:
    rows = np.flatnonzero(chosen_N)
    return rows[np.argsort(order_N[rows], kind="stable")][:NUM_HIGHLIGHTS]


def spread(view: SplitView) -> Rows:
    """Rows of images with a DDT box, at even distances over the classes."""
    return evenly(np.flatnonzero(view.readable_N & ~np.isnan(view.ddt_N4).any(axis=1)), NUM_HIGHLIGHTS)
