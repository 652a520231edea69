"""Figures of each class, for the report."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.evaluation.figures import Figures
from psol_ray.evaluation.protocol import Protocol
from psol_ray.evaluation.scores import score_boxes, score_predictions

__all__ = ["per_class"]


def per_class(
    catalog: pa.Table, boxes: pa.Table, predictions: pa.Table, protocol: Protocol | None = None
) -> list[dict[str, Any]]:
    """How each class of the test split fares, in the order of labels.

    Returns:
        For each class `class_name`, `images` (of the test split), `pseudo_gt_known` (of `boxes` on the test
        split), `gt_known` and `top1_loc` (of `predictions`): fractions of the images with ground truth, None
        where there are none.

    Raises:
        UserError: as `evaluate`.
    """
    scores = (score_boxes(catalog, boxes, protocol), score_predictions(catalog, predictions, protocol))
    test = Figures.of(catalog, "test", *scores)
    means_CF = test.class_means()
    columns = {
        "class_name": test.images.take(test.starts_C).column("class_name").to_pylist(),
        "images": test.counts_C.tolist(),
        "pseudo_gt_known": _column(test, means_CF, "pseudo_boxes.test.gt_known"),
        "gt_known": _column(test, means_CF, "localization.gt_known"),
        "top1_loc": _column(test, means_CF, "localization.top1_loc"),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(test: Figures, means_CF: NDArray[np.float64], name: str) -> list[float | None]:
    return [None if np.isnan(mean) else mean for mean in means_CF[:, test.names.index(name)].tolist()]
