"""Check that a boxes or predictions table fits the catalog before anything is scored."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.ground_truth import list_lengths
from psol_ray.evaluation.join import catalog_rows, check_bad_boxes, check_incomplete, check_rows, mask, of_split
from psol_ray.tables.schemas import TEST, TRAIN, UNREADABLE, boxes_array

__all__ = ["check_boxes", "check_predictions"]


def check_boxes(catalog: pa.Table, boxes: pa.Table) -> NDArray[np.int64]:
    """Check a boxes table against the catalog.

    Returns:
        The catalog's row of each box: shape (N,).

    Raises:
        UserError: images that are unknown, there twice, missing from a split that has others, or of another
            label; boxes that are inside out, or NaN for an image that could be read.
    """
    rows_N = catalog_rows(catalog, boxes, "boxes")
    images = catalog.take(rows_N)
    check_bad_boxes(images, boxes, mask(pc.equal(boxes.column("status"), UNREADABLE)), "boxes")
    relabelled_N = mask(pc.not_equal(boxes.column("label"), images.column("label")))
    check_rows(boxes, relabelled_N, "boxes", "with another label than in the catalog; run `psol boxes` on this one")
    for split in (TRAIN, TEST):
        if len(of_split(images, split)):
            check_incomplete(of_split(catalog, split), boxes, f"boxes of {split} images")
    return rows_N


def check_predictions(catalog: pa.Table, predictions: pa.Table) -> NDArray[np.int64]:
    """Check a predictions table against the catalog.

    An empty table is a run that has predicted nothing yet; any other holds every test image. A table in which no image
    has a label is of a localizer alone.

    Returns:
        The catalog's row of each prediction: shape (N,).

    Raises:
        UserError: images that are unknown, not of the test split, there twice or missing; boxes that are
            inside out; a box without labels, where others have some, or labels without a box; labels above the
            catalog's last.
    """
    name = "predictions"
    rows_N = catalog_rows(catalog, predictions, name)
    elsewhere_N = mask(pc.not_equal(catalog.column("split").take(rows_N), TEST))
    check_rows(predictions, elsewhere_N, name, "not of the test split; predict only its images")
    if len(predictions):
        check_incomplete(of_split(catalog, TEST), predictions, f"{name} of test images")
    unlabelled_N: NDArray[np.bool_] = list_lengths(predictions.column("top_labels")) == 0
    unreadable_N = unlabelled_N
    if unlabelled_N.all():
        unreadable_N = np.asarray(np.isnan(boxes_array(predictions)).all(axis=1))
    check_bad_boxes(catalog.select(["width", "height"]).take(rows_N), predictions, unreadable_N, name)
    _check_labels(catalog, predictions)
    return rows_N


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
    repeated_N = np.zeros(len(predictions), bool)
    repeated_N[image_L[1:][(np.diff(image_L) == 0) & (np.diff(label_L) == 0)]] = True
    check_rows(predictions, repeated_N, "predictions", "with a label twice; each guess is another class")
