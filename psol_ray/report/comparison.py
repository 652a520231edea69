"""How the localizer stands beside the boxes that it learned from, and why.

A regression learns what its boxes have in common and averages out what differs from image to image (Sec. 3.2.2). So of
an error that is the same in all images of a class it keeps all, and to what is left it adds its own.

Shape suffixes: N images, K kinds of boxes.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.bootstrap import bootstrap
from psol_ray.evaluation.ground_truth import GroundTruth
from psol_ray.report.gallery import SplitView
from psol_ray.tables.boxes_table import image_sizes

__all__ = ["Comparison", "SideErrors", "compare"]


@dataclass(frozen=True)
class SideErrors:
    """By how much a kind of box's sides are off, in shares of the image's width or height, root mean square."""

    whose: str
    common: float  # to all images of a class
    varying: float  # from one image of a class to the next

    @property
    def all(self) -> float:
        """Both together."""
        return float(np.hypot(self.common, self.varying))


@dataclass(frozen=True)
class Comparison:
    """The localizer less the pseudo boxes, on the same test images."""

    num_images: int
    gain: float  # how much oftener the localizer is right, a fraction
    interval: tuple[float, float]  # of that, 95 %
    errors: tuple[SideErrors, ...] | None  # pseudo boxes, localizer

    @property
    def is_clear(self) -> bool:
        """Whether so many images can tell the two apart."""
        return self.interval[0] > 0 or self.interval[1] < 0


def compare(view: SplitView, generator: str) -> Comparison | None:
    """Compare them where both have a box and there is ground truth; None where there is no such image."""
    right_NK = np.stack([_as_numbers(view, kind) for kind in ("pseudo_right", "predicted_right")], axis=1)
    gain_N = right_NK[:, 1] - right_NK[:, 0]
    num_images = int(np.isfinite(gain_N).sum())
    if num_images == 0:
        return None
    low, high = bootstrap(gain_N[:, None])[:, 0]
    return Comparison(num_images, float(np.nanmean(gain_N)), (float(low), float(high)), _errors(view, generator))


def _as_numbers(view: SplitView, column: str) -> NDArray[np.float64]:
    """1 where right, 0 where wrong, NaN where not scored."""
    return np.asarray(pc.cast(view.scores[column], "float64").to_numpy(), np.float64)


def _errors(view: SplitView, generator: str) -> tuple[SideErrors, ...] | None:
    """Of images with one ground-truth box, in classes of two such images or more; None where there are none."""
    truth = GroundTruth.of(view.images)
    single_N = truth.counts_N == 1
    sizes_N2 = image_sizes(view.images)
    truth_N4 = np.full((len(single_N), 4), np.nan)
    truth_N4[single_N] = truth.boxes_M4[np.repeat(single_N, truth.counts_N)]
    sides_N4 = np.tile(np.where(sizes_N2 > 0, sizes_N2, np.nan), 2)
    off_KN4 = np.stack([(boxes_N4 - truth_N4) / sides_N4 for boxes_N4 in (view.pseudo_N4, view.localizer_N4)])
    known_N = np.isfinite(off_KN4).all(axis=(0, 2))
    _, class_N, counts_C = np.unique(view.images["label"].to_numpy()[known_N], return_inverse=True, return_counts=True)
    counts_N = counts_C[class_N]
    several_N = counts_N > 1
    if not several_N.any():
        return None
    return tuple(
        _split(whose, off_N4[known_N][several_N], class_N[several_N], counts_N[several_N])
        for whose, off_N4 in zip((generator, "localizer"), off_KN4, strict=True)
    )


def _split(
    whose: str, off_N4: NDArray[np.float64], class_N: NDArray[np.intp], counts_N: NDArray[np.int64]
) -> SideErrors:
    """Into what a class's images share and what they do not, without bias by how few they are (`counts_N`)."""
    sums_C4 = np.zeros((class_N.max() + 1, 4))
    np.add.at(sums_C4, class_N, off_N4)
    rest_N4 = off_N4 - sums_C4[class_N] / counts_N[:, None]
    varying = float(np.mean(rest_N4**2 * (counts_N / (counts_N - 1))[:, None]))
    common = max(float(np.mean(off_N4**2)) - varying, 0.0)
    return SideErrors(whose, float(np.sqrt(common)), float(np.sqrt(varying)))
