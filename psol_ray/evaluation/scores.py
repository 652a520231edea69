"""One score a row: boxes and predictions, checked and set beside what the catalog knows of their images."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.join import catalog_rows, check_bad_boxes, check_incomplete, check_rows, mask
from psol_ray.evaluation.metrics import in_top_k, list_lengths
from psol_ray.evaluation.protocol import Protocol
from psol_ray.tables.schemas import UNREADABLE, boxes_array

__all__ = ["BoxScores", "PredictionScores", "of_split", "score_boxes", "score_predictions"]

_V2_PERCENT = (30, 50, 70)


@dataclass(frozen=True)
class BoxScores:
    """Boxes of N images. An unreadable image has an IoU of 0: it counts, as wrong."""

    rows_N: NDArray[np.int64]  # of the catalog
    iou_N: NDArray[np.float64]  # with the best ground-truth box; NaN where there is none
    protocol: Protocol

    def figures(self) -> dict[str, NDArray[np.float64]]:
        """What each image adds to a figure that is a mean over images; NaN where it does not count."""
        right = {
            f"iou_{percent}": self._counted(self.protocol.right(self.iou_N, percent / 100)) for percent in _V2_PERCENT
        }
        # MaxBoxAcc and MaxBoxAccV2 (Choe et al., CVPR 2020) take a score map's best threshold; a box has but itself.
        return {
            "gt_known": right["iou_50"],
            "max_box_acc": right["iou_50"],
            "max_box_acc_v2": np.mean(list(right.values()), axis=0) if len(self.iou_N) else self.iou_N,
            "iou_30": right["iou_30"],
            "iou_70": right["iou_70"],
            "mean_iou": self.iou_N,
        }

    def _counted(self, right_N: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.where(np.isnan(self.iou_N), np.nan, right_N)


@dataclass(frozen=True)
class PredictionScores(BoxScores):
    """Predictions for the N images of the test split; without a classifier there are no labels to score."""

    top1_N: NDArray[np.bool_]  # the label comes first
    top5_N: NDArray[np.bool_]  # the label is among the first five
    labelled: bool

    def figures(self) -> dict[str, NDArray[np.float64]]:
        """Figures of boxes, and of boxes of the right label; for the keys of labels alone see `label_figures`."""
        right_N = self.protocol.right(self.iou_N)
        found = super().figures()
        for name, top_N in (("top1_loc", self.top1_N), ("top5_loc", self.top5_N)):
            found[name] = self._if_labelled(self._counted(right_N & top_N))
        return found

    def label_figures(self) -> dict[str, NDArray[np.float64]]:
        """Classification, where every test image counts."""
        return {"top1": self._if_labelled(self.top1_N), "top5": self._if_labelled(self.top5_N)}

    def _if_labelled(self, values_N: NDArray) -> NDArray[np.float64]:
        return values_N.astype(np.float64) if self.labelled else np.full(len(values_N), np.nan)


def of_split(images: pa.Table, split: str) -> pa.Table:
    """The rows of a catalog that are of this split."""
    return images.filter(pc.equal(images.column("split"), split))


def score_boxes(catalog: pa.Table, boxes: pa.Table, protocol: Protocol | None = None) -> BoxScores:
    """Check a boxes table against the catalog and score its rows, in their order.

    Args:
        protocol: null is the field's standard.

    Raises:
        UserError: images that are unknown, there twice, missing from a split that has others, or of another
            label; boxes that are inside out, or NaN for an image that could be read.
    """
    protocol = protocol or Protocol()
    rows_N = catalog_rows(catalog, boxes, "boxes")
    images = catalog.take(rows_N)
    check_bad_boxes(boxes, mask(pc.equal(boxes.column("status"), UNREADABLE)), "boxes")
    relabelled_N = mask(pc.not_equal(boxes.column("label"), images.column("label")))
    check_rows(boxes, relabelled_N, "boxes", "with another label than in the catalog; run `psol boxes` on this one")
    for split in ("train", "test"):
        if len(of_split(images, split)):
            check_incomplete(of_split(catalog, split), boxes, f"boxes of {split} images")
    return BoxScores(rows_N, protocol.ious(images, boxes_array(boxes)), protocol)


def score_predictions(catalog: pa.Table, predictions: pa.Table, protocol: Protocol | None = None) -> PredictionScores:
    """Check a predictions table against the catalog and score its rows, in their order.

    An empty table is a run that has predicted nothing yet; any other holds every test image. A table in which no image
    has a label is of a localizer alone.

    Args:
        protocol: null is the field's standard.

    Raises:
        UserError: images that are unknown, not of the test split, there twice or missing; boxes that are
            inside out; a box without labels, where others have some, or labels without a box; labels above the
            catalog's last.
    """
    protocol, name = protocol or Protocol(), "predictions"
    rows_N = catalog_rows(catalog, predictions, name)
    images = catalog.take(rows_N)
    elsewhere_N = mask(pc.not_equal(images.column("split"), "test"))
    check_rows(predictions, elsewhere_N, name, "not of the test split; predict only its images")
    if len(predictions):
        check_incomplete(of_split(catalog, "test"), predictions, f"{name} of test images")
    top_labels, boxes_N4 = predictions.column("top_labels"), boxes_array(predictions)
    unlabelled_N: NDArray[np.bool_] = list_lengths(top_labels) == 0
    labelled = not unlabelled_N.all()
    unreadable_N = unlabelled_N if labelled else np.asarray(np.isnan(boxes_N4).all(axis=1))
    check_bad_boxes(predictions, unreadable_N, name)
    _check_labels(catalog, predictions)
    label_N = images.column("label").to_numpy()
    return PredictionScores(
        rows_N,
        protocol.ious(images, boxes_N4),
        protocol,
        in_top_k(top_labels, label_N, 1),
        in_top_k(top_labels, label_N, 5),
        labelled,
    )


def _check_labels(catalog: pa.Table, predictions: pa.Table) -> None:
    flat = pc.list_flatten(predictions.column("top_labels"))
    image_L = np.repeat(np.arange(len(predictions)), list_lengths(predictions.column("top_labels")))
    last = pc.max(catalog.column("label")).as_py() if len(catalog) else -1
    # A label that is null is out of range, too.
    label_L = np.asarray(pc.fill_null(flat, -1), np.int64)
    bad_N = np.zeros(len(predictions), bool)
    bad_N[image_L[(label_L < 0) | (label_L > last)]] = True
    complaint = f"with labels outside 0 to {last}, the catalog's; use a classifier of the same classes"
    check_rows(predictions, bad_N, "predictions", complaint)
    order_L = np.lexsort((label_L, image_L))
    image_L, label_L = image_L[order_L], label_L[order_L]
    twice_N = np.zeros(len(predictions), bool)
    twice_N[image_L[1:][(np.diff(image_L) == 0) & (np.diff(label_L) == 0)]] = True
    check_rows(predictions, twice_N, "predictions", "with a label twice; each guess is another class")
