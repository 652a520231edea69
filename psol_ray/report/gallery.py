"""Which images the page shows, chosen with Arrow and NumPy so that a million rows stay columns."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.scoring import IOU_DIGITS
from psol_ray.tables.schemas import WITHOUT_BOX, boxes_array

__all__ = [
    "ImageRows",
    "SplitView",
    "evenly",
    "failures",
    "gains",
    "per_class_rows",
    "spread",
    "view_split",
]

ImageRows = NDArray[np.int64]

NUM_CLASSES = 12
NUM_PER_CLASS = 4
NUM_HIGHLIGHTS = 12  # failures, gains, training examples: each


@dataclass(frozen=True)
class SplitView:
    """One split of the data set with its boxes and scores; every member is aligned with `images`.

    N images; a box is NaN, and an IoU too, where there is none.
    """

    images: pa.Table  # rows of the catalog
    scores: pa.Table  # rows of the scores table
    predictions: pa.Table  # rows of the predictions table, null where an image has none
    boxes: pa.Table  # what is measured of the boxes, and their status; likewise
    pseudo_N4: NDArray[np.float64]
    localizer_N4: NDArray[np.float64]
    pseudo_iou_N: NDArray[np.float64]
    localizer_iou_N: NDArray[np.float64]

    @property
    def readable_N(self) -> NDArray[np.bool_]:
        """Whether the catalog could read the image's header."""
        return self.images["width"].to_numpy() > 0

    @property
    def wrong_N(self) -> NDArray[np.bool_]:
        """Whether the localizer has a box, and it is wrong by the run's protocol."""
        wrong = np.asarray(pc.fill_null(pc.invert(self.scores["predicted_right"]), False))
        return wrong & ~np.isnan(self.localizer_iou_N)


def view_split(split: str, catalog: pa.Table, boxes: pa.Table, predictions: pa.Table, scores: pa.Table) -> SplitView:
    """Bring the tables together for one split, in the order of the scores: by label and image_id."""
    scores = scores.filter(pc.equal(scores["split"], split))
    # Of a million boxes no more than is shown.
    boxes = boxes.drop_columns(["width", "height"])
    images, boxes, predictions = (_align(table, scores["image_id"]) for table in (catalog, boxes, predictions))
    return SplitView(
        images,
        scores,
        predictions,
        boxes,
        boxes_array(boxes),
        boxes_array(predictions),
        _ious(scores, "pseudo"),
        _ious(scores, "predicted"),
    )


def _align(table: pa.Table, image_ids: pa.ChunkedArray) -> pa.Table:
    """Rows of `table` in the order of `image_ids`: nulls, but for the id, where it has none."""
    if len(image_ids) and (start := pc.index(table["image_id"], image_ids[0]).as_py()) >= 0:
        # A catalog has them in this very order; a million rows need not be copied.
        together = table.slice(start, len(image_ids))
        if together["image_id"].equals(image_ids):
            return together
    taken = table.take(pc.index_in(image_ids, value_set=table["image_id"]))
    return taken.set_column(taken.schema.get_field_index("image_id"), "image_id", image_ids)


def _ious(scores: pa.Table, kind: str) -> NDArray[np.float64]:
    """The scores' IoUs, rounded as for comparison; NaN, too, for an image that could not be read and has no box."""
    iou_N = np.round(scores[f"{kind}_iou"].to_numpy(), IOU_DIGITS)
    return np.where(pc.is_in(scores[f"{kind}_status"], pa.array([*WITHOUT_BOX, None], pa.string())), np.nan, iou_N)


def evenly(items: ImageRows, count: int) -> ImageRows:
    """Choose at most `count` items at even distances, first and last included."""
    if len(items) <= count:
        return items
    return items[np.linspace(0, len(items) - 1, count).round().astype(int)]


def per_class_rows(view: SplitView) -> list[ImageRows]:
    """Choose a few images of each of a few classes."""
    labels = view.images["label"].to_numpy()
    shown = evenly(np.unique(labels[view.readable_N]), NUM_CLASSES)
    return [evenly(np.flatnonzero(view.readable_N & (labels == label)), NUM_PER_CLASS) for label in shown]


def failures(view: SplitView) -> ImageRows:
    """Choose images on which the localizer is wrong, lowest IoU first."""
    return _first(view.wrong_N, view.localizer_iou_N)


def gains(view: SplitView) -> ImageRows:
    """Choose images on which the localizer's IoU is above that of the pseudo box, largest difference first."""
    gain_N = view.localizer_iou_N - view.pseudo_iou_N
    return _first(gain_N > 0, -gain_N)


def _first(chosen_N: NDArray[np.bool_], order_N: NDArray[np.float64]) -> ImageRows:
    rows = np.flatnonzero(chosen_N)
    return rows[np.argsort(order_N[rows], kind="stable")][:NUM_HIGHLIGHTS]


def spread(view: SplitView) -> ImageRows:
    """Choose images with a pseudo box, at even distances over the classes."""
    return evenly(np.flatnonzero(view.readable_N & ~np.isnan(view.pseudo_N4).any(axis=1)), NUM_HIGHLIGHTS)
