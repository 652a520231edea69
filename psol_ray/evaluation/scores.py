"""One score a row: boxes and predictions, checked and set beside what the catalog knows of their images."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.join import (
    catalog_rows,
    mask,
    refuse_bad_boxes,
    refuse_incomplete,
    refuse_rows,
)
from psol_ray.evaluation.metrics import GroundTruth, best_ious, gt_known, in_top_k, list_lengths
from psol_ray.tables.schemas import UNREADABLE, boxes_array

__all__ = ["BoxScores", "PredictionScores", "of_split", "score_boxes", "score_predictions"]


@dataclass(frozen=True)
class BoxScores:
    """Boxes of N images. An unreadable image has an IoU of 0: it counts, as wrong."""

    images: pa.Table  # their rows of the catalog
    iou_N: NDArray[np.float64]  # with the best ground-truth box; NaN where there is none

    @property
    def known_N(self) -> NDArray[np.bool_]:
        """Which images have ground truth."""
        return ~np.isnan(self.iou_N)

    def of_split(self, split: str) -> "BoxScores":
        """Only the images of one split."""
        here_N = mask(pc.equal(self.images.column("split"), split))
        return BoxScores(of_split(self.images, split), self.iou_N[here_N])


@dataclass(frozen=True)
class PredictionScores(BoxScores):
    """Predictions for the N images of the test split."""

    top1_N: NDArray[np.bool_]  # the label comes first
    top5_N: NDArray[np.bool_]  # the label is among the first five

    @property
    def gt_known_N(self) -> NDArray[np.bool_]:
        """Whether the box is right, whatever the label; false where there is no ground truth."""
        return gt_known(self.iou_N)


def of_split(images: pa.Table, split: str) -> pa.Table:
    """The rows of a catalog that are of this split."""
    return images.filter(pc.equal(images.column("split"), split))


def score_boxes(catalog: pa.Table, boxes: pa.Table) -> BoxScores:
    """Check a boxes table against the catalog and score its rows, in their order.

    Raises:
        UserError: images that are unknown, there twice, missing from a split that has others, or of another
            label; boxes that are inside out, or NaN for an image that could be read.
    """
    images = catalog.take(catalog_rows(catalog, boxes, "boxes"))
    refuse_bad_boxes(boxes, mask(pc.equal(boxes.column("status"), UNREADABLE)), "boxes")
    relabelled_N = mask(pc.not_equal(boxes.column("label"), images.column("label")))
    refuse_rows(boxes, relabelled_N, "boxes", "with another label than in the catalog; run `psol boxes` on this one")
    for split in ("train", "test"):
        if len(of_split(images, split)):
            refuse_incomplete(of_split(catalog, split), boxes, f"boxes of {split} images")
    return BoxScores(images, best_ious(boxes_array(boxes), GroundTruth.of(images)))


def score_predictions(catalog: pa.Table, predictions: pa.Table) -> PredictionScores:
    """Check a predictions table against the catalog and score its rows, in their order.

    An empty table is a run that has predicted nothing yet; any other holds every test image.

    Raises:
        UserError: images that are unknown, not of the test split, there twice or missing; boxes that are
            inside out; a box without labels or labels without a box; labels above the catalog's last.
    """
    name = "predictions"
    images = catalog.take(catalog_rows(catalog, predictions, name))
    elsewhere_N = mask(pc.not_equal(images.column("split"), "test"))
    refuse_rows(predictions, elsewhere_N, name, "not of the test split; predict only its images")
    if len(predictions):
        refuse_incomplete(of_split(catalog, "test"), predictions, f"{name} of test images")
    top_labels = predictions.column("top_labels")
    refuse_bad_boxes(predictions, list_lengths(top_labels) == 0, name)
    _refuse_labels(catalog, predictions)
    label_N = images.column("label").to_numpy()
    return PredictionScores(
        images,
        best_ious(boxes_array(predictions), GroundTruth.of(images)),
        in_top_k(top_labels, label_N, 1),
        in_top_k(top_labels, label_N, 5),
    )


def _refuse_labels(catalog: pa.Table, predictions: pa.Table) -> None:
    top_labels = predictions.column("top_labels")
    label_L = np.asarray(pc.list_flatten(top_labels))
    image_L = np.repeat(np.arange(len(predictions)), list_lengths(top_labels))
    last = pc.max(catalog.column("label")).as_py() if len(catalog) else -1
    bad_N = np.zeros(len(predictions), bool)
    bad_N[image_L[(label_L < 0) | (label_L > last)]] = True
    complaint = f"with labels outside 0 to {last}, the catalog's; use a classifier of the same classes"
    refuse_rows(predictions, bad_N, "predictions", complaint)
