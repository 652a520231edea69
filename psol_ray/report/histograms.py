"""How a run's boxes are spread: by IoU, by area, and where in the image they lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psol_ray.evaluation.ground_truth import GroundTruth
from psol_ray.geometry.boxes import scale
from psol_ray.report.gallery import SplitView
from psol_ray.tables.boxes_table import area_fractions, image_sizes

__all__ = ["Histogram", "Places", "histograms", "places"]

_NUM_BINS = 20
_NUM_CELLS = 9  # a side: with a cell in the middle


@dataclass(frozen=True)
class Histogram:
    """Shares of boxes in bins of equal width from 0 to 1, as heights from 0 to 1 of the highest bar."""

    quantity: str
    whose: str
    kind: str  # whose boxes, for their colour
    count: int
    heights: list[float]
    shares: list[float]  # in percent, of all
    summary: str


@dataclass(frozen=True)
class Places:
    """In which cell of an image's height and width the centres of boxes lie: depths from 0 to 1 of the fullest."""

    whose: str
    kind: str
    depths: list[list[float]]
    summary: str


def histograms(views: Mapping[str, SplitView], generator: str) -> list[Histogram]:
    """Make the histograms of all boxes that there are.

    Args:
        views: split by its name.
        generator: who drew the pseudo boxes.
    """
    found = []
    for split, view in views.items():
        for name, kind, boxes_N4, iou_N in _boxes(view, generator):
            found.append(_histogram("IoU with the ground truth", f"{name}, {split} images", kind, iou_N))
            found.append(
                _histogram("Share of the image's area", f"{name}, {split} images", kind, _areas(view, boxes_N4))
            )
        truth_M4, sizes_M2 = _truth(view)
        areas_M = area_fractions(truth_M4, sizes_M2)
        found.append(_histogram("Share of the image's area", f"ground truth, {split} images", "gt", areas_M))
    return sorted((h for h in found if h is not None), key=lambda h: h.quantity)


def places(views: Sequence[SplitView], generator: str) -> list[Places]:
    """Count the centres of boxes by where they lie, of all splits together."""
    centres: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for view in views:
        sizes_N2 = image_sizes(view.images)
        for name, kind, boxes_N4, _ in _boxes(view, generator):
            centres.setdefault((name, kind), []).append(_centres(boxes_N4, sizes_N2))
        centres.setdefault(("ground truth", "gt"), []).append(_centres(*_truth(view)))
    found = [_places(name, kind, np.concatenate(parts)) for (name, kind), parts in centres.items()]
    return [place for place in found if place is not None]


def _boxes(view: SplitView, generator: str) -> list[tuple[str, str, NDArray[np.float64], NDArray[np.float64]]]:
    return [
        (generator, "pseudo", view.pseudo_N4, view.pseudo_iou_N),
        ("localizer", "loc", view.localizer_N4, view.localizer_iou_N),
    ]


def _areas(view: SplitView, boxes_N4: NDArray[np.float64]) -> NDArray[np.float64]:
    return area_fractions(boxes_N4, image_sizes(view.images))


def _truth(view: SplitView) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Each ground-truth box, and the size of its image."""
    truth = GroundTruth.of(view.images)
    return truth.boxes_M4, np.repeat(image_sizes(view.images), truth.counts_N, axis=0)


def _centres(boxes_N4: NDArray[np.float64], sizes_N2: NDArray[np.int64]) -> NDArray[np.float64]:
    """(x, y) of their centres as fractions, shape (M, 2), of those that there are."""
    known_N = np.isfinite(boxes_N4).all(axis=1) & (sizes_N2 > 0).all(axis=1)
    boxes_M4 = scale(boxes_N4[known_N], *(1 / sizes_N2[known_N]).T)
    return np.asarray((boxes_M4[:, :2] + boxes_M4[:, 2:]) / 2, np.float64)


def _histogram(quantity: str, whose: str, kind: str, values_N: NDArray[np.float64]) -> Histogram | None:
    known = values_N[np.isfinite(values_N)]
    if not len(known):
        return None
    counts, _ = np.histogram(np.clip(known, 0, 1), _NUM_BINS, (0, 1))
    shares = (100 * counts / len(known)).round(1).tolist()
    quarter, middle, three_quarters = np.percentile(known, [25, 50, 75])
    return Histogram(
        quantity,
        whose,
        kind,
        len(known),
        (counts / counts.max()).round(3).tolist(),
        shares,
        f"middle {middle:.2f}, half of them from {quarter:.2f} to {three_quarters:.2f}",
    )


def _places(whose: str, kind: str, centres_M2: NDArray[np.float64]) -> Places | None:
    if not len(centres_M2):
        return None
    x_M, y_M = np.clip(centres_M2, 0, 1).T
    counts, _, _ = np.histogram2d(y_M, x_M, _NUM_CELLS, ((0, 1), (0, 1)))
    third = _NUM_CELLS // 3
    middle = counts[third : 2 * third, third : 2 * third].sum() / counts.sum()
    return Places(
        whose, kind, (counts / counts.max()).round(3).tolist(), f"{100 * middle:.0f} % in the middle ninth of the image"
    )
