"""wsolevaluation's metadata (Choe et al., CVPR 2020): text files of image ids, class labels, image sizes and boxes."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.catalog.wsol_files import CLASS_LABELS, IMAGE_IDS, IMAGE_SIZES, LOCALIZATION, read_localization
from psol_ray.evaluation.join import check_rows
from psol_ray.formats.base import ORIGIN_UNKNOWN, ExportRows, MatchedBoxes, Origin, exporting
from psol_ray.formats.paths import known_rows, source_file
from psol_ray.tables.schemas import boxes_array

__all__ = ["read", "write"]


def read(folder: Path, catalog: pa.Table, _threshold: float, /) -> MatchedBoxes:
    """Read `localization.txt`, corners as they are; its paths may begin elsewhere than the catalog's.

    Raises:
        UserError: the file is missing or malformed, or a path means no image of the catalog, or several.
    """
    path = source_file(folder, LOCALIZATION)
    boxes = read_localization(path)
    return MatchedBoxes(known_rows(path, boxes["image_id"].combine_chunks(), catalog), boxes_array(boxes))


def write(folder: str | Path, catalog: pa.Table, table: pa.Table, _origin: Origin = ORIGIN_UNKNOWN, /) -> int:
    """Write all four files.

    Corners are rounded to the nearest pixel (halves to even) and clipped to the last one, `(width - 1, height
    - 1)`: that makes the official files, byte for byte, out of CUB's own boxes.

    Raises:
        UserError: the folder is taken, the table does not fit the catalog, or a name would break a line.
    """
    with exporting(folder, catalog, table) as (unfinished, rows):
        breaking_N = np.array([any(mark in name for mark in ",\n\r") for name in rows.image_ids], bool)
        check_rows(rows.images, breaking_N, "wsol", "with a comma or line break in the name; that format has no quotes")
        labels_N1 = np.asarray(rows.images.column("label"), np.int64)[:, None]
        pixels_N4 = np.clip(np.rint(rows.boxes_N4), 0, np.tile(rows.sizes_N2 - 1, 2)).astype(np.int64)
        _write_lines(unfinished / IMAGE_IDS, rows.image_ids)
        _write_lines(unfinished / CLASS_LABELS, _numbers(rows, labels_N1))
        _write_lines(unfinished / IMAGE_SIZES, _numbers(rows, rows.sizes_N2))
        _write_lines(unfinished / LOCALIZATION, _numbers(rows, pixels_N4))
    return rows.num_left_out


def _numbers(rows: ExportRows, values_NK: NDArray[np.int64]) -> Iterable[str]:
    for image_id, values in zip(rows.image_ids, values_NK.tolist(), strict=True):
        yield ",".join([image_id, *map(str, values)])


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    # No line break after the last line, as in the official files.
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")
