"""The PSOL authors' pseudo boxes: for each class `CLASS_bbox.json`, from image to `[x, y, w, h]` (Sec. 3.2.2)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from psol_ray.errors import UserError
from psol_ray.evaluation.join import check_rows
from psol_ray.formats.base import ORIGIN_UNKNOWN, MatchedBoxes, Origin, exporting
from psol_ray.formats.paths import known_rows
from psol_ray.geometry.boxes import xyxy_to_fractions
from psol_ray.images.files import open_image_file
from psol_ray.tables.file_names import file_names

__all__ = ["read", "write"]

_SUFFIX = "_bbox.json"


def read(folder: Path, catalog: pa.Table, _threshold: float, /) -> MatchedBoxes:
    """Read all `CLASS_bbox.json`: top-left corner and size as fractions of the image.

    The authors' paths are absolute, of the machine that made them. Whatever else is in the folder is left alone: the
    authors keep each class's component beside its boxes.

    Raises:
        UserError: there is no such file, one is malformed, or a path means no image of the catalog, or several.
    """
    files = sorted(folder.glob(f"*{_SUFFIX}"))
    if not files:
        raise UserError(f"{folder}: found no file *{_SUFFIX}, expected one a class; fix the path")
    pairs = [pair for path in files for pair in _read_pairs(path)]
    rows_M = known_rows(folder, pa.array([key for key, _ in pairs], pa.string()), catalog)
    xywh_M4 = np.array([box for _, box in pairs], np.float64).reshape(-1, 4)
    return MatchedBoxes(rows_M, xywh_M4, coordinates="fractions_xywh")


def _read_pairs(path: Path) -> list[tuple[str, list[float]]]:
    """Paths and boxes of one file; one that is there twice is there twice."""
    try:
        with open_image_file(str(path)) as file:
            pairs = json.loads(file.read(), object_pairs_hook=tuple, parse_int=float)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: found {error}, expected JSON; copy the file again") from None
    if not isinstance(pairs, tuple):
        raise UserError(f"{path}: found no mapping, expected one from image to [x, y, w, h]; copy the file again")
    odd = pa.table({"image_id": pa.array([key for key, box in pairs if not _is_box(box)], pa.string())})
    check_rows(odd, np.ones(len(odd), bool), str(path), "without a box of four numbers; expected [x, y, w, h]")
    return list(pairs)


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(value, float) for value in box)


def write(folder: str | Path, catalog: pa.Table, table: pa.Table, _origin: Origin = ORIGIN_UNKNOWN, /) -> int:
    """Write `CLASS_bbox.json` for each class that has a box, clipped to the image; see `file_names` for odd classes.

    The authors' keys are absolute paths; here they are the catalog's, below the data root: join them to yours before
    you feed them to their loader.

    Raises:
        UserError: the folder is taken, or the table does not fit the catalog.
    """
    with exporting(folder, catalog, table) as (unfinished, rows):
        width_N, height_N = rows.sizes_N2.T
        inside_N4 = np.clip(rows.boxes_N4, 0, np.tile(rows.sizes_N2, 2))
        fractions_N4 = xyxy_to_fractions(inside_N4, width_N, height_N)
        classes = rows.images.column("class_name").combine_chunks().dictionary_encode()
        codes_N, image_ids = classes.indices.to_numpy(), rows.images.column("image_id")
        files = file_names(classes.dictionary.to_pylist())
        for code, name in enumerate(classes.dictionary.to_pylist()):
            # Class by class: a million boxes as lists would take half a gigabyte.
            rows_M = np.flatnonzero(codes_N == code)
            boxes = dict(zip(image_ids.take(rows_M).to_pylist(), fractions_N4[rows_M].tolist(), strict=True))
            (unfinished / f"{files[name]}{_SUFFIX}").write_text(json.dumps(boxes), encoding="utf-8")
    return rows.num_left_out
