"""`metrics.json`: one run's metrics, all fractions in [0, 1], and the same metrics of each class."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.baselines import baselines
from psol_ray.evaluation.join import count_images, mask, of_split
from psol_ray.evaluation.metrics import Metrics, nested
from psol_ray.evaluation.scores import score_images
from psol_ray.evaluation.scoring import ScoringProtocol
from psol_ray.geometry.crops import PAPER_CROP_SHARE
from psol_ray.tables.schemas import NOT_READ, TEST, TRAIN

__all__ = ["Evaluation", "evaluate"]

_LEVELS = ("low", "high")


class Evaluation(NamedTuple):
    """The scores table, what `metrics.json` holds, and a row a class of the test split."""

    scores: pa.Table
    metrics: dict[str, Any]
    classes: pa.Table
    remarks: list[str]
    """Sentences about test images that count otherwise than one might think."""


def evaluate(
    catalog: pa.Table,
    boxes: pa.Table,
    predictions: pa.Table,
    protocol: ScoringProtocol | None = None,
    paper_share: float = PAPER_CROP_SHARE,
) -> Evaluation:
    """Score a run (Sec. 4.1); see `score_images` for the arguments.

    A box is right (GT-known) where its IoU with the best of the image's ground-truth boxes is at least 0.5;
    top-1 and top-5 localization also want the label among the first one or five. Box metrics are over the
    images with ground-truth boxes, classification over all test images. An unreadable image counts
    everywhere, as wrong. Boxes are half-open, so IoUs differ a little from those of code that adds a pixel to
    each side. `intervals` are 95 % bootstrap intervals, of `mean_of_classes` with images drawn inside classes.

    Returns:
        Fractions; None where one cannot be known.

    Raises:
        UserError: a table does not fit the catalog, or holds impossible boxes or labels.
    """
    protocol = protocol or ScoringProtocol()
    scores = score_images(catalog, boxes, predictions, protocol, paper_share)
    train, test = (Metrics.of(scores, split, protocol) for split in (TRAIN, TEST))
    by_class = test.class_intervals()
    names = train.names + test.names
    metrics = {
        "images": _count(scores),
        **nested(names, np.concatenate([train.means(), test.means()])),
        "mean_of_classes": nested(test.names, test.mean_of_classes()),
        "intervals": {
            **nested(names, np.concatenate([train.intervals(), test.intervals()], axis=1)),
            "mean_of_classes": nested(test.names, by_class.mean_2M),
        },
        "baselines": baselines(of_split(catalog, TEST), protocol),
        "coordinates": "original" if protocol.crop_share is None else "crop",
        "crop_share": protocol.crop_share,
        "iou_rule": "above" if protocol.above else "at_least",
    }
    return Evaluation(scores, metrics, _class_table(test, by_class.classes_2CM), _remarks(scores))


def _count(scores: pa.Table) -> dict[str, int]:
    """How many images there are, and how many of those of the test split count otherwise than one might think."""
    test = of_split(scores, TEST)
    statuses = (scores.column(name) for name in ("pseudo_status", "predicted_status"))
    unreadable = (mask(pc.is_in(status, pa.array(NOT_READ))) for status in statuses)
    return {
        "train": len(of_split(scores, TRAIN)),
        "test": len(test),
        "unreadable": int(np.logical_or(*unreadable).sum()),
        "without_truth": int((~mask(test.column("has_gt_box"))).sum()),
        "outside_crop": int(mask(test.column("gt_outside_crop")).sum()),
    }


def _remarks(scores: pa.Table) -> list[str]:
    test = of_split(scores, TEST)
    remarks = {
        "without a ground-truth box: they count for classification alone": pc.invert(test.column("has_gt_box")),
        "with all ground-truth boxes outside the crop: they count, as wrong": test.column("gt_outside_crop"),
    }
    return [
        f"{count_images(test.filter(such))} of {len(test)} in the test split {remark}"
        for remark, such in remarks.items()
        if pc.any(such).as_py()
    ]


def _class_table(test: Metrics, intervals_2CM: NDArray[np.float64]) -> pa.Table:
    """A row a class: name, images, and each metric with the ends of its interval."""
    firsts = test.images.take(test.starts_C)
    columns = {"class_name": firsts.column("class_name"), "label": firsts.column("label"), "images": test.counts_C}
    values = {"": test.class_means(), **{f".{level}": ends for level, ends in zip(_LEVELS, intervals_2CM, strict=True)}}
    for index, name in enumerate(test.names):
        for suffix, values_CM in values.items():
            if np.isfinite(values[""][:, index]).any():
                columns[name + suffix] = pa.array(values_CM[:, index], from_pandas=True)
    return pa.table(columns)
