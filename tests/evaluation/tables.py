"""Small tables for tests, and the real ones of wsolevaluation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from psol_ray.tables.schemas import BOXES, CATALOG, OK, PREDICTIONS, UNREADABLE

NAN_BOX = (float("nan"),) * 4


def image(image_id: str, gt: Sequence[Sequence[float]] = (), **fields: Any) -> dict[str, Any]:
    """A row of a catalog: of the test split, class 0, 10 x 10 pixels, unless said otherwise."""
    row = {"image_id": image_id, "label": 0, "split": "test", "width": 10, "height": 10, **fields}
    return {"class_name": f"class_{row['label']}", "gt_boxes": [list(box) for box in gt], **row}


def catalog_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=CATALOG)


def box_row(image_id: str, box: Sequence[float], **fields: Any) -> dict[str, Any]:
    corners = dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
    status = UNREADABLE if np.isnan(box[0]) else OK
    return {
        "image_id": image_id,
        "label": 0,
        "width": 10,
        "height": 10,
        "status": status,
        **corners,
        **fields,
    }


def boxes_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=BOXES)


def prediction(image_id: str, box: Sequence[float], labels: Sequence[int] = (0,)) -> dict[str, Any]:
    corners = dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
    return {"image_id": image_id, **corners, "top_labels": list(labels), "top_probs": [1.0] * len(labels)}


def predictions_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=PREDICTIONS)


def read_wsol(folder: Path) -> pa.Table:
    """A catalog of a folder of wsolevaluation's metadata, all of it the test split."""

    def lines(name: str) -> list[list[str]]:
        return [line.split(",") for line in (folder / name).read_text().splitlines()]

    gt: dict[str, list[list[float]]] = {image_id: [] for (image_id,) in lines("image_ids.txt")}
    for image_id, *box in lines("localization.txt"):
        gt[image_id].append([float(v) for v in box])
    labels = {image_id: int(label) for image_id, label in lines("class_labels.txt")}
    sizes = {image_id: (int(w), int(h)) for image_id, w, h in lines("image_sizes.txt")}
    rows = (image(i, b, label=labels[i], width=sizes[i][0], height=sizes[i][1]) for i, b in gt.items())
    return catalog_of(*rows)


def whole_image_predictions(catalog: pa.Table) -> pa.Table:
    """Predictions that know every label, and say that the object fills the image."""
    num = len(catalog)
    columns = {
        "image_id": catalog.column("image_id"),
        "x0": np.zeros(num, np.float32),
        "y0": np.zeros(num, np.float32),
        "x1": catalog.column("width").to_numpy().astype(np.float32),
        "y1": catalog.column("height").to_numpy().astype(np.float32),
        "top_labels": [[label] for label in catalog.column("label").to_pylist()],
        "top_probs": [[1.0]] * num,
    }
    return pa.table(columns).cast(PREDICTIONS)
