"""Make the scores table: a row an image, its boxes and its classes compared with what the catalog knows."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.evaluation.checks import check_boxes, check_predictions
from psol_ray.evaluation.ground_truth import GroundTruth, label_ranks, list_lengths
from psol_ray.evaluation.join import check_bad_truth
from psol_ray.evaluation.scoring import ScoringProtocol
from psol_ray.geometry.crops import PAPER_CROP_SHARE
from psol_ray.tables.schemas import NOT_READ, OK, SCORES, UNREADABLE, boxes_array

__all__ = ["score_images"]

_TOP = 5


def score_images(
    catalog: pa.Table,
    boxes: pa.Table,
    predictions: pa.Table,
    protocol: ScoringProtocol | None = None,
    paper_share: float = PAPER_CROP_SHARE,
) -> pa.Table:
    """Compare every image's pseudo box and prediction with its ground truth, in float64.

    Args:
        catalog: `CATALOG`.
        boxes: `BOXES`, of all images of a split or of none.
        predictions: `PREDICTIONS`, of exactly the images of the test split, or of none.
        protocol: by which a box is right; null is the field's standard.
        paper_share: side of the paper's centre crop for predictions, as a share of the image's; that for pseudo boxes
            is always 224/256.

    Returns:
        A table of schema `SCORES`, a row for each image of the catalog.

    Raises:
        UserError: a table does not fit the catalog, or holds impossible boxes or labels.
    """
    protocol = protocol or ScoringProtocol()
    truth = GroundTruth.of(catalog)
    check_bad_truth(catalog, truth)
    box_rows_N, prediction_rows_N = check_boxes(catalog, boxes), check_predictions(catalog, predictions)
    columns = {name: catalog.column(name) for name in ("image_id", "label", "class_name", "split")}
    columns |= {"has_gt_box": truth.known_N, "gt_outside_crop": protocol.removed(catalog)}
    of_boxes = {
        "pseudo_status": boxes.column("status"),
        **_score_boxes("pseudo", catalog.take(box_rows_N), boxes, protocol, PAPER_CROP_SHARE),
    }
    images = catalog.take(prediction_rows_N)
    of_predictions = {
        "predicted_status": np.where(np.isnan(boxes_array(predictions)[:, 0]), UNREADABLE, OK),
        **_score_boxes("predicted", images, predictions, protocol, paper_share),
        **_score_classes(catalog, images, predictions),
    }
    columns |= _spread(catalog, boxes, of_boxes) | _spread(catalog, predictions, of_predictions)
    columns["readable"] = _readable(catalog, columns)
    order = [("split", "descending"), ("label", "ascending"), ("image_id", "ascending")]
    return pa.table(columns).select(SCORES.names).cast(SCORES).sort_by(order)


def _score_boxes(
    kind: str, images: pa.Table, table: pa.Table, protocol: ScoringProtocol, paper_share: float
) -> dict[str, pa.Array]:
    """IoUs of the boxes of `table` in each kind of coordinates, and whether they are right by the protocol."""
    boxes_N4 = boxes_array(table)
    shares = {"": protocol.crop_share, "_original": None, "_crop": paper_share}
    ious = {share: ScoringProtocol(share).ious(images, boxes_N4) for share in set(shares.values())}
    iou_N = ious[protocol.crop_share]
    # As pandas does: NaN, which is where there is no ground truth, becomes null.
    columns = {f"{kind}_iou{suffix}": pa.array(ious[share], from_pandas=True) for suffix, share in shares.items()}
    return {**columns, f"{kind}_right": pa.array(protocol.right(iou_N), mask=np.isnan(iou_N))}


def _score_classes(catalog: pa.Table, images: pa.Table, predictions: pa.Table) -> dict[str, pa.Array]:
    """Ranks of the true classes. Where no image has a label there is no classifier to score: all are null."""
    top_labels = predictions.column("top_labels")
    counts_N = list_lengths(top_labels)
    rank_N = label_ranks(top_labels, images.column("label").to_numpy())
    without_classifier_N = np.full(len(predictions), not counts_N.any())
    return {
        "predicted_class": _class_names(catalog, pc.list_flatten(pc.list_slice(top_labels, 0, 1)), counts_N > 0),
        "true_class_rank": pa.array(rank_N, mask=rank_N < 0),
        "top1": pa.array(rank_N == 0, mask=without_classifier_N),
        "top5": pa.array((rank_N >= 0) & (rank_N < _TOP), mask=without_classifier_N),
    }


def _class_names(catalog: pa.Table, labels: pa.ChunkedArray, labelled_N: NDArray[np.bool_]) -> pa.Array:
    """Names of the labels of those images that have one; null for the others."""
    classes = catalog.group_by(["label", "class_name"]).aggregate([]).combine_chunks()
    names = classes.column("class_name").take(pc.index_in(labels, value_set=classes.column("label").combine_chunks()))
    # A number between others that no image of the catalog has.
    numbers = pc.binary_join_element_wise("class", labels.cast(pa.string()), " ")
    named = pc.coalesce(names, numbers).combine_chunks()
    return named.take(pa.array(np.cumsum(labelled_N) - 1, mask=~labelled_N))


def _spread(catalog: pa.Table, table: pa.Table, columns: dict[str, Any]) -> dict[str, pa.ChunkedArray]:
    """Columns of the rows of `table` as columns of all images: null where it has no row."""
    index = pc.index_in(catalog.column("image_id"), value_set=table.column("image_id").combine_chunks())
    return dict(zip(columns, pa.table(columns).take(index).columns, strict=True))


def _readable(catalog: pa.Table, columns: dict[str, Any]) -> NDArray[np.bool_]:
    readable = pc.greater(catalog.column("width"), 0)
    for status in (columns["pseudo_status"], columns["predicted_status"]):
        readable = pc.and_(readable, pc.invert(pc.is_in(status, pa.array(NOT_READ))))
    return np.asarray(readable)
