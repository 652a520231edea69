"""The real tables of wsolevaluation's metadata."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from synthetic.tables import catalog_of, image

from psol_ray.tables.schemas import PREDICTIONS


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
