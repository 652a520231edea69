"""Boxes of other projects, read as a boxes table: the formats of `formats`, the other way round."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.catalog.annotations import read_boxes_csv
from psol_ray.catalog.wsol_files import read_localization
from psol_ray.errors import UserError
from psol_ray.evaluation.join import check_rows
from psol_ray.exchange.found import Found, boxes_table
from psol_ray.exchange.keys import AMBIGUOUS, UNKNOWN, match_images
from psol_ray.exchange.score_maps import read_score_maps
from psol_ray.geometry.boxes import scale
from psol_ray.tables.schemas import boxes_array

__all__ = ["READERS", "read_boxes", "source_folder"]

_PSOL = "_bbox.json"


def read_boxes(format_name: str, path: str, catalog: pa.Table, threshold: float = 0.5) -> pa.Table:
    """Somebody's boxes of the catalog's images, as a boxes table of all images of one split or of both.

    Args:
        format_name: a key of `READERS`.
        path: the folder that holds them, on this machine.
        catalog: `CATALOG`.
        threshold: of `wsol_maps`, see `box_of_map`.

    Raises:
        UserError: there is no such folder, or what it holds is malformed or does not fit the catalog.
    """
    return boxes_table(catalog, READERS[format_name](source_folder(path), catalog, threshold), path)


def source_folder(path: str) -> Path:
    """The folder that `source.path` names.

    Raises:
        UserError: there is no such folder on this machine.
    """
    folder = Path(path)
    if "://" in path or not folder.is_dir():
        raise UserError(f"source.path: found no folder {path!r} on this machine, expected one of boxes; fix the path")
    return folder


def _read_csv(folder: Path, catalog: pa.Table, _threshold: float, /) -> Found:
    """`boxes.csv` of the `folder` layout, by the catalog's own ids."""
    path = _file(folder, "boxes.csv")
    boxes = read_boxes_csv(path)
    rows_M = _known(path, pa.array(boxes.image_keys, pa.string()), boxes.rows(_ids(catalog)))
    return _all_objects(rows_M, boxes.corners_M4.astype(np.float64))


def _read_wsol(folder: Path, catalog: pa.Table, _threshold: float, /) -> Found:
    """wsolevaluation's `localization.txt`, corners as they are; its paths may begin elsewhere than the catalog's."""
    path = _file(folder, "localization.txt")
    boxes = read_localization(path)
    keys = boxes["image_id"].combine_chunks()
    return _all_objects(_known(path, keys, match_images(keys, _ids(catalog))), boxes_array(boxes))


def _read_psol(folder: Path, catalog: pa.Table, _threshold: float, /) -> Found:
    """The authors' `CLASS_bbox.json`, from path to `[x, y, w, h]` as fractions of the image (Sec. 3.2.2).

    Their paths are absolute, of the machine that made them. Whatever else is in the folder is left alone: the
    authors keep each class's component beside its boxes.
    """
    files = sorted(folder.glob(f"*{_PSOL}"))
    if not files:
        raise UserError(f"{folder}: found no file *{_PSOL}, expected one a class; fix the path")
    pairs = [pair for path in files for pair in _pairs(path)]
    keys = pa.array([key for key, _ in pairs], pa.string())
    rows_M = _known(folder, keys, match_images(keys, _ids(catalog)))
    xywh_M4 = np.array([box for _, box in pairs], np.float64).reshape(-1, 4)
    fractions_M4 = np.concatenate([xywh_M4[:, :2], xywh_M4[:, :2] + xywh_M4[:, 2:]], axis=1)
    return _all_objects(rows_M, _in_pixels(catalog, rows_M, fractions_M4))


def _pairs(path: Path) -> list[tuple[str, list[float]]]:
    """Paths and boxes of one file; one that is there twice is there twice."""
    try:
        pairs = json.loads(path.read_bytes(), object_pairs_hook=tuple, parse_int=float)
    except ValueError as error:
        raise UserError(f"{path}: found {error}, expected JSON; copy the file again") from None
    if not isinstance(pairs, tuple):
        raise UserError(f"{path}: found no mapping, expected one from image to [x, y, w, h]; copy the file again")
    odd = pa.table({"image_id": pa.array([key for key, box in pairs if not _is_box(box)], pa.string())})
    check_rows(odd, np.ones(len(odd), bool), str(path), "without a box of four numbers; expected [x, y, w, h]")
    return list(pairs)


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(value, float) for value in box)


def _read_wsol_maps(folder: Path, catalog: pa.Table, threshold: float, /) -> Found:
    """`IMAGE_ID.npy` for the catalog's images: wsolevaluation keeps maps of `val`, no catalog's, in the same place."""
    rows_M, fractions_M4, foreground_M = read_score_maps(folder, _ids(catalog).to_pylist(), threshold)
    return Found(rows_M, _in_pixels(catalog, rows_M, fractions_M4), foreground_M)


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise UserError(f"source.path: found no {name} in {folder}, expected one; fix the path or source.format")
    return folder / name


def _ids(catalog: pa.Table) -> pa.Array:
    return catalog.column("image_id").combine_chunks()


def _known(path: Path, keys: pa.Array, rows_M: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows, once every key means one image."""
    named = pa.table({"image_id": keys})
    check_rows(named, rows_M == UNKNOWN, str(path), "not in the catalog; import boxes of its images alone")
    check_rows(named, rows_M == AMBIGUOUS, str(path), "that may be any of several in the catalog; give longer paths")
    return rows_M


def _in_pixels(catalog: pa.Table, rows_M: NDArray[np.int64], fractions_M4: NDArray[np.float64]) -> NDArray[np.float64]:
    width_M, height_M = (catalog.column(name).to_numpy()[rows_M] for name in ("width", "height"))
    return np.asarray(scale(fractions_M4, width_M, height_M), np.float64)


def _all_objects(rows_M: NDArray[np.int64], boxes_M4: NDArray[np.float64]) -> Found:
    return Found(rows_M, boxes_M4, np.ones(len(rows_M), bool))


READERS: dict[str, Callable[[Path, pa.Table, float], Found]] = {
    "csv": _read_csv,
    "wsol": _read_wsol,
    "psol": _read_psol,
    "wsol_maps": _read_wsol_maps,
}
