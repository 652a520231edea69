"""FiftyOne's `FiftyOneImageDetectionDataset`: `labels.json`, from each image to its boxes as shares of its sides."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.formats.base import ORIGIN_UNKNOWN, ExportRows, MatchedBoxes, Origin, exporting
from psol_ray.formats.classes import Classes, find_classes, scores
from psol_ray.formats.found import Found
from psol_ray.formats.json_stream import stream_json
from psol_ray.formats.paths import source_file
from psol_ray.formats.texts import hundred_millionths, join, json_texts, numbers, write_items
from psol_ray.tables.schemas import BOXES

__all__ = ["read", "write"]

_FILE = "labels.json"
_MEASURED = BOXES.names[BOXES.get_field_index("status") + 1 :]


def read(path: Path, catalog: pa.Table, _threshold: float, /) -> MatchedBoxes:
    """Read `labels.json`, or the file that is named; in an image with an empty list, nothing was found.

    Of several boxes with a confidence, the highest counts.

    Raises:
        UserError: the file is missing or malformed, or a path means no image of the catalog, or several.
    """
    file = path if path.is_file() else source_file(path, _FILE)
    found = Found(file)
    for key, item in stream_json(file):
        if key == "labels" and isinstance(item, tuple):
            name, boxes = item
            found.add_image(name)
            for box in boxes if isinstance(boxes, list) else [None]:
                _add(found, box if isinstance(box, dict) else {})
    return found.match(catalog, "fractions_xywh")


def _add(found: Found, box: dict[str, Any]) -> None:
    attributes = box.get("attributes")
    nothing = isinstance(attributes, dict) and attributes.get("status") == "no_foreground"
    found.add_box(box.get("bounding_box"), box.get("confidence"), foreground=not nothing)


def write(folder: str | Path, catalog: pa.Table, table: pa.Table, origin: Origin = ORIGIN_UNKNOWN, /) -> int:
    """Write `labels.json`, clipped to the images; what was measured of a box are its attributes.

    Images go by their absolute paths where they are files on this machine, and by their ids elsewhere. Corners are
    rounded to a hundred-millionth of the image's side.

    Raises:
        UserError: the folder is taken, or the table does not fit the catalog.
    """
    with exporting(folder, catalog, table) as (unfinished, rows):
        classes, root = find_classes(catalog), origin.folder_of_images(catalog)
        front = "" if root is None else f"{root.rstrip('/')}/"
        with (unfinished / _FILE).open("wb") as file:
            file.write(f'{{\n"classes":{json.dumps(classes.names, ensure_ascii=False)},\n"labels":{{\n'.encode())
            write_items(file, (_items(some, classes, front) for some in rows.some()))
            file.write(b"\n}}\n")
    return rows.num_left_out


def _items(rows: ExportRows, classes: Classes, front: str) -> pa.Array:
    x0_N, y0_N, x1_N, y1_N = hundred_millionths(rows.inside_N4, rows.sizes_N2).T
    x, y, w, h = (numbers(v / 1e8) for v in (x0_N, y0_N, x1_N - x0_N, y1_N - y0_N))
    names = json_texts(front + image_id for image_id in rows.image_ids)
    labels = json_texts(classes.names).take(pa.array(classes.indices(rows)))
    box = join(':[{"label":', labels, ',"bounding_box":[', x, ",", y, ",", w, ",", h, "]")
    return join(names, box, ',"confidence":', numbers(scores(rows)), ',"attributes":{', _attributes(rows), "}}]")


def _attributes(rows: ExportRows) -> pa.Array:
    """Status, and what was measured: not of predictions, and without what is NaN."""
    if "status" not in rows.measured.column_names:
        return pa.array([""] * len(rows.images), pa.string())
    parts = ['"status":"', rows.measured.column("status").combine_chunks(), '"']
    for name in _MEASURED:
        values_N = np.asarray(rows.measured.column(name), np.float32)
        texts = join(f',"{name}":', numbers(values_N))
        parts.append(pc.if_else(pa.array(np.isfinite(values_N)), texts, ""))
    return join(*parts)
