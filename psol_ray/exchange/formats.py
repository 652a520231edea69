"""The formats: wsolevaluation's text metadata and score maps, the PSOL authors' JSON, and CSV.

Every function takes a folder that is new or empty, the catalog, and a boxes or predictions table of any of
its images; writes the folder whole or not at all, in the catalog's order; and returns how many images it left
out because they could not be read.
"""

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.evaluation.join import check_rows
from psol_ray.exchange.folder import whole_folder
from psol_ray.exchange.rows import Rows, rows_to_export
from psol_ray.exchange.score_maps import write_score_maps
from psol_ray.geometry.boxes import xyxy_to_fractions

__all__ = ["FORMATS", "write_csv", "write_psol_json", "write_wsol"]


def write_wsol(folder: str | Path, catalog: pa.Table, table: pa.Table) -> int:
    """wsolevaluation's metadata: image ids, class labels, image sizes and boxes, a text file each.

    Corners are rounded to the nearest pixel (halves to even) and clipped to the last one, `(width - 1, height
    - 1)`: that makes the official files, byte for byte, out of CUB's own boxes.

    Raises:
        UserError: the folder is taken, the table does not fit the catalog, or a name would break a line.
    """
    rows = rows_to_export(catalog, table)
    breaking_N = np.array([any(mark in name for mark in ",\n\r") for name in rows.image_ids], bool)
    check_rows(rows.images, breaking_N, "wsol", "with a comma or line break in the name; that format has no quotes")
    sizes_N2 = np.stack([rows.column("width"), rows.column("height")], axis=1)
    pixels_N4 = np.clip(np.rint(rows.boxes_N4), 0, np.tile(sizes_N2 - 1, 2)).astype(np.int64)
    with whole_folder(folder) as unfinished:
        _write_lines(unfinished / "image_ids.txt", rows.image_ids)
        _write_lines(unfinished / "class_labels.txt", _numbers(rows, rows.column("label")[:, None]))
        _write_lines(unfinished / "image_sizes.txt", _numbers(rows, sizes_N2))
        _write_lines(unfinished / "localization.txt", _numbers(rows, pixels_N4))
    return rows.num_left_out


def _numbers(rows: Rows, values_NK: NDArray[np.int64]) -> Iterable[str]:
    for image_id, values in zip(rows.image_ids, values_NK.tolist(), strict=True):
        yield ",".join([image_id, *map(str, values)])


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    # No line break after the last line, as in the official files.
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")


def write_psol_json(folder: str | Path, catalog: pa.Table, table: pa.Table) -> int:
    """The authors' pseudo boxes: for each class `CLASSNAME_bbox.json`, from image to `[x, y, w, h]`.

    Top-left corner and size are fractions of the image, clipped to it (Sec. 3.2.2). The authors' keys are
    absolute paths; here they are the catalog's, below the data root: join them to yours before you feed them
    to their loader.

    Raises:
        UserError: the folder is taken, the table does not fit the catalog, or a class's name holds a slash.
    """
    rows = rows_to_export(catalog, table)
    width_N, height_N = rows.column("width").astype(np.float64), rows.column("height").astype(np.float64)
    inside_N4 = np.clip(rows.boxes_N4, 0, np.stack([width_N, height_N, width_N, height_N], axis=1))
    fractions_N4 = xyxy_to_fractions(inside_N4, width_N, height_N).tolist()
    by_class: dict[str, dict[str, list[float]]] = {}
    names = rows.images.column("class_name").to_pylist()
    for name, image_id, box in zip(names, rows.image_ids, fractions_N4, strict=True):
        by_class.setdefault(name, {})[image_id] = box
    slashed = sorted(name for name in by_class if "/" in name)
    if slashed:
        raise UserError(f"psol: {len(slashed)} class names ({slashed[0]}, …) hold a slash; rename the classes")
    with whole_folder(folder) as unfinished:
        for name, boxes in by_class.items():
            (unfinished / f"{name}_bbox.json").write_text(json.dumps(boxes), encoding="utf-8")
    return rows.num_left_out


def write_csv(folder: str | Path, catalog: pa.Table, table: pa.Table) -> int:
    """`boxes.csv` for the `folder` layout: `image_id,x0,y0,x1,y1` in pixels of the original image, unrounded.

    Raises:
        UserError: the folder is taken, or the table does not fit the catalog.
    """
    rows = rows_to_export(catalog, table)
    # NumPy prints the fewest digits that give the same float32 again.
    corners_N4 = rows.boxes_N4.astype(np.float32).astype(str).tolist()
    with (
        whole_folder(folder) as unfinished,
        (unfinished / "boxes.csv").open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image_id", "x0", "y0", "x1", "y1"])
        writer.writerows([name, *box] for name, box in zip(rows.image_ids, corners_N4, strict=True))
    return rows.num_left_out


FORMATS: dict[str, Callable[[str | Path, pa.Table, pa.Table], int]] = {
    "wsol": write_wsol,
    "wsol_maps": write_score_maps,
    "psol": write_psol_json,
    "csv": write_csv,
}
