"""Small data sets on disk, and listings in a form that is easy to compare."""

from collections.abc import Iterable

import pyarrow as pa
from synthetic.images import save, touch, write

from psol_ray.tables.schemas import CATALOG

__all__ = ["GT_BOXES", "Box", "boxes_of", "rows_of", "save", "solution_csv", "touch", "voc_xml", "write"]

Box = tuple[float, float, float, float]

GT_BOXES = CATALOG.field("gt_boxes").type


def solution_csv(rows: Iterable[tuple[str, str]]) -> str:
    """As Kaggle writes it, trailing spaces and line ends included."""
    return "ImageId,PredictionString\r\n" + "".join(f"{image},{objects} \r\n" for image, objects in rows)


def voc_xml(wnid: str, *boxes: Box, size: tuple[int, int] | None = None) -> str:
    objects = "".join(
        f"<object><name>{wnid}</name><pose>Unspecified</pose><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>\n"
        for x0, y0, x1, y1 in boxes
    )
    sides = f"<height>{size[1]}</height><width>{size[0]}</width>" if size else "<width>9</width>"
    return f"<annotation>\n<folder>val</folder><size>{sides}</size>{objects}</annotation>"


def rows_of(listing: pa.Table) -> list[tuple[str, str, int]]:
    """(image_id, split, label) of every row."""
    return list(zip(*(listing[name].to_pylist() for name in ("image_id", "split", "label")), strict=True))


def boxes_of(listing: pa.Table) -> dict[str, list[Box]]:
    """Boxes of the images that have any."""
    boxes = zip(listing["image_id"].to_pylist(), listing["gt_boxes"].to_pylist(), strict=True)
    return {image_id: [tuple(box) for box in found] for image_id, found in boxes if found}
