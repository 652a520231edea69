"""`metrics.json`: one run's figures, all fractions in [0, 1], and the same figures of each class."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.baselines import baselines
from psol_ray.evaluation.figures import Figures, nested
from psol_ray.evaluation.join import catalog_rows, check_bad_truth, named
from psol_ray.evaluation.metrics import GroundTruth, best_ious
from psol_ray.evaluation.protocol import IOU_DIGITS, Protocol
from psol_ray.evaluation.scores import of_split, score_boxes, score_predictions
from psol_ray.tables.schemas import UNREADABLE, boxes_array

__all__ = ["Evaluation", "evaluate", "image_ious"]

_LEVELS = ("low", "high")


class Evaluation(NamedTuple):
    """What `metrics.json` holds, and a row a class of the test split."""

    metrics: dict[str, Any]
    classes: pa.Table
    remarks: list[str]
    """Sentences about test images that count otherwise than one might think."""


def evaluate(catalog: pa.Table, boxes: pa.Table, predictions: pa.Table, protocol: Protocol | None = None) -> Evaluation:
    """The figures of a run (Sec. 4.1), computed in float64.

    A box is right (GT-known) where its IoU with the best of the image's ground-truth boxes is at least 0.5;
    top-1 and top-5 localization also want the label among the first one or five. Box figures are over the
    images with ground-truth boxes, classification over all test images. An unreadable image counts
    everywhere, as wrong. Boxes are half-open, so IoUs differ a little from those of code that adds a pixel to
    each side. `intervals` are 95 % bootstrap intervals, of `mean_of_classes` with images drawn inside classes.

    Args:
        catalog: `CATALOG`.
        boxes: `BOXES`, of all images of a split or of none.
        predictions: `PREDICTIONS`, of exactly the images of the test split, or of none.
        protocol: null is the field's standard, original coordinates and IoU >= 0.5.

    Returns:
        Fractions; None where one cannot be known.

    Raises:
        UserError: a table does not fit the catalog, or holds impossible boxes or labels.
    """
    protocol = protocol or Protocol()
    check_bad_truth(catalog, GroundTruth.of(catalog))
    scores = (score_boxes(catalog, boxes, protocol), score_predictions(catalog, predictions, protocol))
    train, test = (Figures.of(catalog, split, *scores) for split in ("train", "test"))
    by_class = test.class_intervals()
    names = train.names + test.names
    counts, remarks = _count(catalog, boxes, predictions, protocol)
    metrics = {
        "images": counts,
        **nested(names, np.concatenate([train.means(), test.means()])),
        "mean_of_classes": nested(test.names, test.mean_of_classes()),
        "intervals": {
            **nested(names, np.concatenate([train.intervals(), test.intervals()], axis=1)),
            "mean_of_classes": nested(test.names, by_class.mean_2F),
        },
        "baselines": baselines(of_split(catalog, "test"), protocol),
        "coordinates": "original" if protocol.crop_share is None else "crop",
        "crop_share": protocol.crop_share,
        "iou_rule": "above" if protocol.above else "at_least",
    }
    return Evaluation(metrics, _class_table(test, by_class.classes_2CF), remarks)


def _count(
    catalog: pa.Table, boxes: pa.Table, predictions: pa.Table, protocol: Protocol
) -> tuple[dict[str, int], list[str]]:
    """How many images there are, and remarks about those that count otherwise than one might think."""
    images = of_split(catalog, "test")
    unknown_N, removed_N = ~GroundTruth.of(images).known_N, protocol.removed(images)
    counts = {
        "train": len(of_split(catalog, "train")),
        "test": len(images),
        "unreadable": _num_unreadable(boxes, predictions),
        "without_truth": int(unknown_N.sum()),
        "outside_crop": int(removed_N.sum()),
    }
    return counts, [
        *_remark(images, unknown_N, "without a true box: they count for classification alone"),
        *_remark(images, removed_N, "with all true boxes outside the crop: they count, as wrong"),
    ]


def _num_unreadable(boxes: pa.Table, predictions: pa.Table) -> int:
    """Images that had no box for want of a readable file, in either table."""
    in_boxes = boxes.filter(pc.equal(boxes.column("status"), UNREADABLE)).column("image_id")
    in_predictions = predictions.filter(pc.is_nan(predictions.column("x0"))).column("image_id")
    return len({*in_boxes.to_pylist(), *in_predictions.to_pylist()})


def _remark(images: pa.Table, such_N: NDArray[np.bool_], what: str) -> list[str]:
    if not such_N.any():
        return []
    return [f"{named(images.filter(pa.array(such_N)))} of {len(images)} in the test split {what}"]


def _class_table(test: Figures, intervals_2CF: NDArray[np.float64]) -> pa.Table:
    """A row a class: name, images, and each figure with the ends of its interval."""
    firsts = test.images.take(test.starts_C)
    columns = {"class_name": firsts.column("class_name"), "label": firsts.column("label"), "images": test.counts_C}
    values = {"": test.class_means(), **{f".{level}": ends for level, ends in zip(_LEVELS, intervals_2CF, strict=True)}}
    for index, name in enumerate(test.names):
        for suffix, values_CF in values.items():
            if np.isfinite(values[""][:, index]).any():
                columns[name + suffix] = pa.array(values_CF[:, index], from_pandas=True)
    return pa.table(columns)


def image_ious(catalog: pa.Table, table: pa.Table) -> NDArray[np.float64]:
    """IoU of each row's box with the best ground-truth box of its image.

    Args:
        catalog: `CATALOG`.
        table: `BOXES` or `PREDICTIONS`, of any images of the catalog.

    Returns:
        Shape (rows,), in the table's order, rounded as for comparison: NaN where the image has no
        ground truth, 0 where only the box is NaN.

    Raises:
        UserError: an image is not in the catalog, or twice in either table.
    """
    images = catalog.take(catalog_rows(catalog, table, "table"))
    return np.round(best_ious(boxes_array(table), GroundTruth.of(images)), IOU_DIGITS)
