"""Of which class an exported box is, and its score."""

import re

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.errors import UserError
from psol_ray.formats.base import export_rows
from psol_ray.formats.classes import find_classes, scores
from psol_ray.tables.boxes_table import boxes_table
from psol_ray.tables.schemas import PREDICTIONS

from .synthetic import CATALOG_3, make_boxes, make_catalog


def predictions_of(labels: list[list[int]], probs: list[list[float]]) -> pa.Table:
    """Of a.jpg and b.jpg."""
    box = {name: [0.0, 0.0] if name[1] == "0" else [9.0, 9.0] for name in ("x0", "y0", "x1", "y1")}
    columns = {"image_id": ["a.jpg", "b.jpg"], **box, "top_labels": labels, "top_probs": probs}
    return pa.table(columns).cast(PREDICTIONS)


def test_classes_are_the_catalogs_in_the_order_of_their_labels() -> None:
    classes = find_classes(CATALOG_3)
    assert (classes.labels.tolist(), classes.names) == ([2, 4], ["cat", "dog"])
    assert find_classes(CATALOG_3.slice(0, 0)).names == []


def test_a_prediction_is_of_the_most_probable_class_and_as_sure() -> None:
    rows = export_rows(CATALOG_3, predictions_of([[4, 2], [2, 4]], [[0.75, 0.25], [0.5, 0.5]]))
    assert rows.image_ids == ["b.jpg", "a.jpg"]
    assert find_classes(CATALOG_3).indices(rows).tolist() == [0, 1]
    assert scores(rows).tolist() == [0.5, 0.75]


def test_without_a_classifier_it_is_the_images_own() -> None:
    rows = export_rows(CATALOG_3, predictions_of([[], []], [[], []]))
    assert find_classes(CATALOG_3).indices(rows).tolist() == [1, 0]
    assert scores(rows).tolist() == [1, 1]


def test_a_class_that_is_not_in_the_catalog_is_refused() -> None:
    rows = export_rows(CATALOG_3, predictions_of([[3], [2]], [[1], [1]]))
    with pytest.raises(UserError, match=re.escape("table: 1 image (a.jpg) with a class that is not in the catalog")):
        find_classes(CATALOG_3).indices(rows)


def test_a_pseudo_box_is_scored_by_its_quality() -> None:
    catalog = make_catalog()
    boxes_N4 = np.tile([0.0, 0.0, 9.0, 9.0], (4, 1))
    table = boxes_table(catalog, boxes_N4, np.full(4, "ok"), area_fraction=np.array([0.125, np.nan, 0.25, 0.5]))
    rows = export_rows(catalog, table)
    assert scores(rows).tolist() == [0.5, 1, 1, 1]
    assert np.concatenate([scores(some) for some in rows.some(1)]).tolist() == [0.5, 1, 1, 1]
    assert find_classes(catalog).indices(export_rows(catalog, make_boxes(catalog))).tolist() == [0, 1, 0, 1]
