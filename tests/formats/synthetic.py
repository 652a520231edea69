"""Catalogs and tables by hand, which formats write and read."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from psol_ray.tables.schemas import BOXES, CATALOG, PREDICTIONS

CORNERS = ("x0", "y0", "x1", "y1")
NAN_BOX = [float("nan")] * 4


def catalog_of(*rows: tuple[str, int, str, int, int]) -> pa.Table:
    """Test images: id, label, class name, width and height of each."""
    names = ("image_id", "label", "class_name", "width", "height")
    made = [{**dict(zip(names, row, strict=True)), "split": "test", "gt_boxes": []} for row in rows]
    return pa.Table.from_pylist(made, schema=CATALOG)


def table_of(schema: pa.Schema = PREDICTIONS, **boxes: list[float]) -> pa.Table:
    """Boxes by image; the names' extension is left out."""
    rows = [{"image_id": f"{name}.jpg", **dict(zip(CORNERS, box, strict=True))} for name, box in boxes.items()]
    return pa.Table.from_pylist(rows, schema=schema)


CATALOG_3 = catalog_of(("b.jpg", 4, "dog", 40, 20), ("a.jpg", 2, "cat", 100, 50), ("c.jpg", 4, "dog", 0, 0))
BOXES_3 = table_of(a=[-3, 12.5, 30.25, 60], b=[0, 0, 40, 20], c=NAN_BOX)

NAMES = ["train/n01/a.jpg", "train/n02/a.jpg", "test/n01/b.jpg", "test/n02/c 1.jpg"]
SIZES = [(500, 375), (333, 500), (224, 224), (77, 1000)]
SHARES = [(0.125, 0.25, 0.875, 1), (0.3, 0.1, 0.9, 0.7), (0, 0, 1, 1), (1 / 3, 1 / 7, 1, 0.8)]


def make_catalog() -> pa.Table:
    """The four images of `NAMES`, two of each split."""
    rows = [
        {
            "image_id": name,
            "label": int(name.split("/")[1][1:]) - 1,
            "class_name": name.split("/")[1],
            "split": name.split("/")[0],
            "width": width,
            "height": height,
            "gt_boxes": [],
        }
        for name, (width, height) in zip(NAMES, SIZES, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=CATALOG)


def make_boxes(catalog: pa.Table) -> pa.Table:
    """A box for each of them, of any size."""
    corners = np.array(
        [[x0 * w, y0 * h, x1 * w, y1 * h] for (x0, y0, x1, y1), (w, h) in zip(SHARES, SIZES, strict=True)]
    )
    rows = [
        {
            **{name: row[name] for name in ("image_id", "label", "width", "height")},
            **dict(zip(CORNERS, box, strict=True)),
            "status": "ok",
        }
        for row, box in zip(catalog.to_pylist(), corners.astype(np.float32).tolist(), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=BOXES)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; what follows the last line break is one."""
    return path.read_text().split("\n")


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
