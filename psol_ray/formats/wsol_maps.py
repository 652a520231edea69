"""wsolevaluation's score maps: an array an image, `IMAGE_ID.npy`, from which its evaluation draws boxes."""

from enum import Enum
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.unicode_forms import stored_paths
from psol_ray.errors import UserError
from psol_ray.evaluation.join import check_rows
from psol_ray.formats.base import LEAVES_ROOT, ORIGIN_UNKNOWN, MatchedBoxes, Origin, exporting
from psol_ray.geometry.boxes import scale
from psol_ray.geometry.readings import to_pixels
from psol_ray.heatmaps.contours import contour_boxes, grey_levels
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.image_ids import leaves_root
from psol_ray.work.threads import map_waiting

__all__ = ["box_of_map", "read", "write"]

_SIDE = 224  # to which wsolevaluation shrinks images, and their boxes with them
_LONGEST = 255 - len(".npy")  # bytes of a file's name, on most file systems


class _Without(Enum):
    """Why a map gives no box."""

    FILE = "there is none"
    NUMBERS = "it is not an array of finite numbers"
    OBJECT = "nothing is above the threshold"


def read(folder: Path, catalog: pa.Table, threshold: float, /) -> MatchedBoxes:
    """Read the boxes of the maps that are there; maps of other images are not looked for.

    wsolevaluation keeps maps of `val`, whose images are in no catalog, in the same place. Where a map shows nothing
    above the threshold (see `box_of_map`) the box is the whole image.

    Raises:
        UserError: a file holds anything but a finite two-dimensional array, or there is no map at all.
    """
    image_ids = catalog.column("image_id").to_pylist()
    check_rows(catalog, leaves_root(catalog.column("image_id")), "catalog", LEAVES_ROOT)
    names = stored_paths(str(folder), pa.array([_path(image_id) for image_id in image_ids], pa.string()))
    boxes = list(map_waiting(partial(_read_box, threshold), [folder / name for name in names.to_pylist()]))
    damaged_N = np.array([box is _Without.NUMBERS for box in boxes], bool)
    complaint = "with a map that is not an array of height x width finite numbers; save it again with numpy.save"
    check_rows(catalog, damaged_N, str(folder), complaint)
    rows_M = np.array([row for row, box in enumerate(boxes) if box is not _Without.FILE], np.int64)
    if not len(rows_M):
        first = f", such as {image_ids[0]}.npy" if len(image_ids) else ""
        raise UserError(f"{folder}: found no map, expected IMAGE_ID.npy for the catalog's images{first}; fix the path")
    with_map = [boxes[row] for row in rows_M]
    fractions_M4 = np.array([[0, 0, 1, 1] if box is _Without.OBJECT else box for box in with_map], np.float64)
    foreground_M = np.array([box is not _Without.OBJECT for box in with_map])
    boxes_M4 = to_pixels(fractions_M4, image_sizes(catalog)[rows_M], "fractions")
    return MatchedBoxes(rows_M, boxes_M4, foreground_M, coordinates=None)


def _read_box(threshold: float, path: Path) -> NDArray[np.float64] | _Without:
    try:
        map_hw = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return _Without.FILE
    except (ValueError, OSError, EOFError):
        return _Without.NUMBERS
    if not isinstance(map_hw, np.ndarray) or map_hw.ndim != 2 or not map_hw.size or map_hw.dtype.kind not in "buif":
        return _Without.NUMBERS
    if not np.isfinite(map_hw).all():
        return _Without.NUMBERS
    box = box_of_map(map_hw, threshold)
    return _Without.OBJECT if box is None else box


def box_of_map(map_hw: NDArray[np.generic], threshold: float) -> NDArray[np.float64] | None:
    """Return the box around the contour that encloses most, as wsolevaluation draws it.

    The map is stretched to [0, 1] and taken in 256 steps of grey; a map of one value above zero is object everywhere.

    Args:
        map_hw: finite, of any size.
        threshold: share of the map's range above which is object.

    Returns:
        (x0, y0, x1, y1) as fractions of the map; None where nothing is above the threshold.
    """
    boxes = contour_boxes(grey_levels(map_hw), threshold)
    return boxes.boxes_B4[boxes.largest] / np.tile(map_hw.shape[::-1], 2) if len(boxes.boxes_B4) else None


def write(folder: str | Path, catalog: pa.Table, table: pa.Table, _origin: Origin = ORIGIN_UNKNOWN, /) -> int:
    """Write a map of 224 x 224 an image, 200 kB each: 1 inside its box, rounded to the map's cells, and 0 elsewhere.

    Whatever its threshold, wsolevaluation draws that box again. A box of less than half a cell, or without area, is one
    cell: a map cannot say less.

    Raises:
        UserError: the folder is taken, the table does not fit the catalog, or an image's name leaves no room for .npy.
    """
    with exporting(folder, catalog, table) as (unfinished, rows):
        _check_lengths(rows.images)
        width_N, height_N = rows.sizes_N2.T
        cells_N4 = np.rint(scale(rows.boxes_N4, _SIDE / width_N, _SIDE / height_N))
        starts_N2 = np.clip(cells_N4[:, :2], 0, _SIDE - 1).astype(np.int64)
        ends_N2 = np.clip(cells_N4[:, 2:], starts_N2 + 1, _SIDE).astype(np.int64)
        for image_id, (x0, y0), (x1, y1) in zip(rows.image_ids, starts_N2, ends_N2, strict=True):
            map_hw = np.zeros((_SIDE, _SIDE), np.float32)
            map_hw[y0:y1, x0:x1] = 1
            path = unfinished / _path(image_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, map_hw)
    return rows.num_left_out


def _check_lengths(images: pa.Table) -> None:
    file_names = pc.replace_substring_regex(images.column("image_id"), pattern="^.*/", replacement="")
    too_long_N = np.asarray(pc.greater(pc.binary_length(file_names), _LONGEST), bool)
    check_rows(images, too_long_N, "wsol_maps", f"named by more than {_LONGEST} bytes, to which .npy cannot be added")


def _path(image_id: str) -> str:
    return f"{image_id}.npy"
