"""Small tables from rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from psol_ray.tables.schemas import BOXES, CATALOG, OK, PREDICTIONS, TEST, UNREADABLE

__all__ = [
    "CORNERS",
    "NAN_BOX",
    "box_row",
    "boxes_of",
    "catalog_of",
    "class_images",
    "image",
    "prediction",
    "predictions_of",
]

CORNERS = ("x0", "y0", "x1", "y1")
NAN_BOX = (float("nan"),) * 4


def image(image_id: str, gt: Sequence[Sequence[float]] = (), **fields: Any) -> dict[str, Any]:
    """A row of a catalog: of the test split, class 0, 10 x 10 pixels, unless said otherwise."""
    row = {"image_id": image_id, "label": 0, "split": TEST, "width": 10, "height": 10, **fields}
    return {"class_name": f"class_{row['label']}", "gt_boxes": [list(box) for box in gt], **row}


def catalog_of(*rows: dict[str, Any]) -> pa.Table:
    """A catalog of rows that `image` makes."""
    return pa.Table.from_pylist(list(rows), schema=CATALOG)


def class_images(splits: Sequence[str], *, label: int = 0, class_name: str = "zero", size: Any = (40, 40)) -> pa.Table:
    """Catalog rows of one class, `0.jpg`, `1.jpg` and so on, as workers are given them: without ground truth."""
    rows = (
        image(f"{i}.jpg", label=label, class_name=class_name, split=split, width=size[0], height=size[1])
        for i, split in enumerate(splits)
    )
    return catalog_of(*rows).drop_columns(["gt_boxes"])


def box_row(image_id: str, box: Sequence[float], **fields: Any) -> dict[str, Any]:
    """A row of a boxes table: class 0, 10 x 10 pixels, unless said otherwise."""
    corners = dict(zip(CORNERS, box, strict=True))
    status = UNREADABLE if np.isnan(box[0]) else OK
    return {"image_id": image_id, "label": 0, "width": 10, "height": 10, "status": status, **corners, **fields}


def boxes_of(*rows: dict[str, Any]) -> pa.Table:
    """A boxes table of rows that `box_row` makes."""
    return pa.Table.from_pylist(list(rows), schema=BOXES)


def prediction(image_id: str, box: Sequence[float], labels: Sequence[int] = (0,)) -> dict[str, Any]:
    """A row of a predictions table, sure of every label."""
    corners = dict(zip(CORNERS, box, strict=True))
    return {"image_id": image_id, **corners, "top_labels": list(labels), "top_probs": [1.0] * len(labels)}


def predictions_of(*rows: dict[str, Any]) -> pa.Table:
    """A predictions table of rows that `prediction` makes."""
    return pa.Table.from_pylist(list(rows), schema=PREDICTIONS)
