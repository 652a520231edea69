"""The page's `review.json`: what somebody has said of a run's pseudo boxes, beside the `boxes/` that it is about."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.evaluation.join import catalog_rows, check_rows
from psol_ray.formats.base import MatchedBoxes
from psol_ray.formats.paths import source_file
from psol_ray.tables.boxes_table import area_fractions, boxes_table, image_sizes
from psol_ray.tables.run_dir import RunDir
from psol_ray.tables.schemas import BOXES, OK, REJECTED, boxes_array

__all__ = ["read"]

_FILE = "review.json"
_FORMAT = "psol_ray review 1"
_ACCEPTED, _REJECTED, _CORRECTED = "accepted", "rejected", "corrected"


@dataclass(frozen=True)
class _Review:
    """What the file says, of M images."""

    boxes: str  # fingerprint of the boxes that were looked at
    image_ids: Sequence[str]
    verdicts: Sequence[str]
    boxes_M4: NDArray[np.float64]  # NaN of what was not corrected


def read(folder: Path, catalog: pa.Table, _threshold: float, /) -> pa.Table:
    """Read the boxes of a run as a review leaves them.

    Boxes that were corrected take the place of the run's own, images whose box was rejected have none (`rejected`), and
    all others are as they were, accepted or not mentioned, with all that was measured of them.

    Args:
        folder: a run directory, or whatever holds `review.json` and a copy of the run's `boxes/`.
        catalog: schema `CATALOG`, of the same images.

    Returns:
        Schema `BOXES`, in the catalog's order.

    Raises:
        UserError: a file is missing or malformed; the review is of other boxes; images are not in the catalog, or have
            another size there; a corrected box is not finite, inside out, or outside its image.
    """
    # Late, for `matching` names this format.
    from psol_ray.formats.matching import check_boxes

    path = source_file(folder, _FILE)
    review = _read_file(path)
    stage = RunDir(str(folder)).stage("boxes")
    if (found := stage.require().fingerprint) != review.boxes:
        raise UserError(
            f"{path}: found a review of boxes {review.boxes}, expected one of {found}, which lie in {stage.address};"
            " put it beside those that it is of"
        )
    table = stage.read(BOXES)
    rows_N = catalog_rows(catalog, table, stage.address)
    table, rows_N = table.take(np.argsort(rows_N)), np.sort(rows_N)
    images = catalog.take(rows_N)
    resized_N = (image_sizes(images) != image_sizes(table)).any(axis=1)
    check_rows(images, resized_N, stage.address, "of another size in the catalog; import the review of these images")

    ids_M = pa.array(review.image_ids, pa.string())
    places = pc.index_in(ids_M, value_set=table["image_id"].combine_chunks())
    reviewed = pa.table({"image_id": ids_M})
    check_rows(reviewed, np.asarray(pc.is_null(places)), str(path), f"without a box in {stage.address}; remove them")
    rows_M, verdict_M = np.asarray(places, np.int64), np.array(review.verdicts, object)
    corrected_M = verdict_M == _CORRECTED
    corrected = MatchedBoxes(rows_M[corrected_M], review.boxes_M4[corrected_M])
    check_boxes(images, corrected, image_sizes(images), str(path))
    return _revised(images, table, corrected, rows_M[verdict_M == _REJECTED])


def _revised(images: pa.Table, table: pa.Table, corrected: MatchedBoxes, rejected_rows: NDArray[np.int64]) -> pa.Table:
    """The rows of `table`, which are those of `images`, with the corrected boxes and without the rejected ones."""
    sizes_N2, boxes_N4 = image_sizes(images), boxes_array(table)
    status_N = table["status"].to_numpy(zero_copy_only=False).copy()
    measured = {name: np.array(table[name], np.float64) for name in BOXES.names[-4:]}
    rows = corrected.rows_M
    boxes_N4[rows] = np.clip(corrected.boxes_M4, 0, np.tile(sizes_N2[rows], 2))
    boxes_N4[rejected_rows] = np.nan
    status_N[rows], status_N[rejected_rows] = OK, REJECTED
    # Of a box that nobody measured there is the area alone; what is measured of its class stays.
    measured["area_fraction"][rows] = area_fractions(boxes_N4[rows], sizes_N2[rows])
    measured["area_fraction"][rejected_rows] = np.nan
    measured["mean_heat"][rows] = measured["mean_heat"][rejected_rows] = np.nan
    return boxes_table(images, boxes_N4, status_N, **measured)


def _read_file(path: Path) -> _Review:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: found {error}, expected JSON; download it again") from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT or not isinstance(content.get("boxes"), str):
        _refuse(path, f"no review, expected one of the format {_FORMAT!r} that names its boxes")
    images = content.get("images")
    if not isinstance(images, list) or not images:
        _refuse(path, "no images, expected those that were looked at")
    for number, image in enumerate(images, 1):
        if not (isinstance(image, dict) and isinstance(image.get("image_id"), str)):
            _refuse(path, f"no image_id in entry {number}, expected one in each")
        if image.get("verdict") not in (_ACCEPTED, _REJECTED, _CORRECTED):
            _refuse(path, f"{image['image_id']} neither {_ACCEPTED} nor {_REJECTED} nor {_CORRECTED}, expected one")
        if image["verdict"] == _CORRECTED and not _is_box(image.get("box")):
            _refuse(path, f"{image['image_id']} {_CORRECTED} without a box of four numbers, expected [x0, y0, x1, y1]")
    ids = [image["image_id"] for image in images]
    counts = Counter(ids)
    again_M = np.array([count > 1 for count in counts.values()])
    check_rows(pa.table({"image_id": list(counts)}), again_M, str(path), "more than once; leave one verdict of each")
    boxes = [image["box"] if image["verdict"] == _CORRECTED else [math.nan] * 4 for image in images]
    return _Review(content["boxes"], ids, [image["verdict"] for image in images], np.array(boxes, np.float64))


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(value) in (int, float) for value in box)


def _refuse(path: Path, what: str) -> NoReturn:
    raise UserError(f"{path}: found {what}; download it from the run's page again")
