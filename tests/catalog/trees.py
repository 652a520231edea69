"""Small data sets on disk, and listings in a form that is easy to compare."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from psol_ray.tables.schemas import CATALOG

Box = tuple[float, float, float, float]

GT_BOXES = CATALOG.field("gt_boxes").type


def touch(root: Path, *names: str) -> None:
    """Empty files: a listing opens none."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def save(path: Path, size: tuple[int, int], mode: str = "RGB", **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path, **options)
    return path


def solution_csv(rows: Iterable[tuple[str, str]]) -> str:
    """As Kaggle writes it, trailing spaces and line ends included."""
    return "ImageId,PredictionString\r\n" + "".join(f"{image},{objects} \r\n" for image, objects in rows)


def voc_xml(wnid: str, *boxes: Box) -> str:
    objects = "".join(
        f"<object><name>{wnid}</name><pose>Unspecified</pose><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>\n"
        for x0, y0, x1, y1 in boxes
    )
    return f"<annotation>\n<folder>val</folder><size><width>9</width></size>{objects}</annotation>"


def rows_of(listing: pa.Table) -> list[tuple[str, str, int]]:
    """(image_id, split, label) of every row."""
    return list(zip(*(listing[name].to_pylist() for name in ("image_id", "split", "label")), strict=True))


def boxes_of(listing: pa.Table) -> dict[str, list[Box]]:
    """Boxes of the images that have any."""
    boxes = zip(listing["image_id"].to_pylist(), listing["gt_boxes"].to_pylist(), strict=True)
    return {image_id: [tuple(box) for box in found] for image_id, found in boxes if found}
