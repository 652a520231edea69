"""The one rule of a right box: in which coordinates it is compared, and from which IoU on it is right."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.evaluation.ground_truth import GroundTruth, best_ious
from psol_ray.geometry.boxes import area, scale
from psol_ray.geometry.crops import clip_to_center
from psol_ray.tables.boxes_table import image_sizes

__all__ = ["GT_KNOWN_IOU", "IOU_DIGITS", "ScoringProtocol"]

GT_KNOWN_IOU = 0.5

# Boxes of whole pixels meet an IoU of exactly a half; as fractions they would miss it by their last digits.
IOU_DIGITS = 9


@dataclass(frozen=True)
class ScoringProtocol:
    """How boxes are scored: by default as in the field.

    The paper's authors score in a crop of 224/256, and count only what is above 0.5.
    """

    crop_share: float | None = None
    """Of the sides of an image, to whose middle boxes and ground truth are clipped; None leaves them whole."""
    above: bool = False
    """Whether a box at exactly the least IoU is wrong."""

    def right(self, iou_N: NDArray[np.float64], least: float = GT_KNOWN_IOU) -> NDArray[np.bool_]:
        """Whether each box is right; where the IoU is NaN it is not."""
        rounded_N = np.round(iou_N, IOU_DIGITS)
        return rounded_N > least if self.above else rounded_N >= least

    def ious(self, images: pa.Table, boxes_N4: NDArray[np.floating]) -> NDArray[np.float64]:
        """IoU of each image's box with the best of its ground-truth boxes.

        An image whose ground truth lies outside the crop counts, as wrong: what it has lost, no box can meet.

        Args:
            images: rows of a catalog.
            boxes_N4: (x0, y0, x1, y1) in pixels of the whole images; NaN is wrong.

        Returns:
            Shape (N,): NaN where the catalog knows no box of the image.
        """
        truth = GroundTruth.of(images)
        if self.crop_share is None:
            return best_ious(boxes_N4, truth)
        return best_ious(self._clip(boxes_N4, image_sizes(images).astype(np.float64)), self._clip_truth(images))

    def removed(self, images: pa.Table) -> NDArray[np.bool_]:
        """Which images have ground truth, all of it outside the crop: shape (N,)."""
        if self.crop_share is None:
            return np.zeros(len(images), bool)
        truth = self._clip_truth(images)
        removed_N = truth.known_N.copy()
        image_M = np.repeat(np.arange(len(images)), truth.counts_N)
        removed_N[image_M[area(truth.boxes_M4) > 0]] = False
        return removed_N

    def truth(self, images: pa.Table) -> GroundTruth:
        """The ground truth in these coordinates, as fractions of the image or of the crop.

        An image without a size has no box; a box outside the crop has no area.
        """
        sizes_N2 = image_sizes(images).astype(np.float64)
        truth = GroundTruth.of(images) if self.crop_share is None else self._clip_truth(images)
        sizes_M2 = np.repeat(sizes_N2, truth.counts_N, axis=0)
        sized_M, sized_N = (sizes_M2 > 0).all(axis=1), (sizes_N2 > 0).all(axis=1)
        boxes_M4 = truth.boxes_M4[sized_M]
        if self.crop_share is None:
            boxes_M4 = np.asarray(scale(boxes_M4, *(1 / sizes_M2[sized_M]).T), np.float64)
        return GroundTruth(boxes_M4, np.where(sized_N, truth.counts_N, 0))

    def _clip_truth(self, images: pa.Table) -> GroundTruth:
        truth = GroundTruth.of(images)
        sizes_M2 = np.repeat(image_sizes(images).astype(np.float64), truth.counts_N, axis=0)
        return GroundTruth(self._clip(truth.boxes_M4, sizes_M2), truth.counts_N)

    def _clip(self, boxes_N4: NDArray[np.floating], sizes_N2: NDArray[np.float64]) -> NDArray[np.float64]:
        assert self.crop_share is not None
        return clip_to_center(boxes_N4, sizes_N2, self.crop_share)
