"""What the numbers of ground-truth boxes mean: known once images have sizes, and checked over all boxes together.

Shape suffixes: N images, M boxes, 4 = as given, or (x0, y0, x1, y1) in pixels of the image.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.settings import DataConfig
from psol_ray.errors import UserError, abbreviate
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.geometry.readings import Reading, to_pixels
from psol_ray.geometry.units import check_units
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.schemas import CATALOG, TEST, TRAIN

__all__ = ["boxes_in_pixels"]

SETTING = "data.coordinates"

_CUB = "cub"  # x y width height; all others have corners in pixels
_SPLIT_FILES = ("imagenet", "wsol")  # whose splits have files of their own, so that one may be right and one wrong


def boxes_in_pixels(catalog: pa.Table, layout: str, data: DataConfig) -> pa.Table:
    """The catalog with `gt_boxes` in pixels of the image, where `data.coordinates` says that they are something else.

    Args:
        catalog: schema `CATALOG`; boxes are four numbers each, as the layout's reader found them.
        layout: whose reader that was.
        data: where the boxes were found, and what the user says of them.

    Raises:
        UserError: taken together, they cannot be what they are said to be; or, in files of which each box has to be
            one, a box is inside out.
    """
    row_M, numbers_M4 = _flat(catalog)
    if not len(row_M):
        return catalog
    own: Coordinates = "pixels_xywh" if layout == _CUB else "pixels"
    coordinates = data.coordinates or own
    if layout == _CUB:
        numbers_M4 = np.concatenate([numbers_M4[:, :2], numbers_M4[:, 2:] - numbers_M4[:, :2]], axis=1)
    sizes_M2 = image_sizes(catalog)[row_M]
    test_M = np.asarray(pc.equal(catalog.column("split"), TEST))[row_M]
    for split, of_split_M in ((TRAIN, ~test_M), (TEST, test_M)) if layout in _SPLIT_FILES else (("", test_M | True),):
        source = _source(layout, data, split)
        said = data.coordinates is not None
        check_units(numbers_M4[of_split_M], sizes_M2[of_split_M], coordinates, source, SETTING, said=said)
        _check_each(catalog, layout, row_M[of_split_M], numbers_M4[of_split_M], coordinates, source)
    return catalog if coordinates == own else _with_boxes(catalog, to_pixels(numbers_M4, sizes_M2, coordinates))


def _flat(catalog: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The image of each box, and its numbers."""
    lists = catalog.column("gt_boxes")
    counts_N = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), np.int64)
    numbers = np.asarray(pc.list_flatten(pc.list_flatten(lists)), np.float64)
    return np.repeat(np.arange(len(catalog)), counts_N), numbers.reshape(-1, 4)


def _with_boxes(catalog: pa.Table, boxes_M4: NDArray[np.float64]) -> pa.Table:
    lists = catalog.column("gt_boxes").combine_chunks()
    list_type = CATALOG.field("gt_boxes").type
    boxes = pa.FixedSizeListArray.from_arrays(pa.array(boxes_M4.astype(np.float32).ravel()), type=list_type.value_type)
    counts_N = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), np.int64)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts_N)]).astype(np.int32))
    column = pa.ListArray.from_arrays(offsets, boxes, type=list_type)
    return catalog.set_column(catalog.column_names.index("gt_boxes"), CATALOG.field("gt_boxes"), column)


def _source(layout: str, data: DataConfig, split: str) -> str:
    root = Path(data.root)
    if layout == "wsol":
        return str(Path(data.metadata or root) / split / "localization.txt")
    names = {"folder": "boxes.csv", _CUB: "bounding_boxes.txt", "imagenet": f"annotations of {split} images"}
    return str(root / names.get(layout, "boxes"))


def _check_each(
    catalog: pa.Table,
    layout: str,
    row_M: NDArray[np.int64],
    numbers_M4: NDArray[np.float64],
    coordinates: Coordinates,
    source: str,
) -> None:
    """Raise a UserError where single boxes are inside out, or where such as people write themselves have no area.

    ImageNet's annotations are taken as they are, and CUB's reader has looked already.
    """
    corners_M4 = Reading.of(coordinates).corners(numbers_M4)
    if layout == "folder":
        bad_M, expected = (corners_M4[:, 2:] <= corners_M4[:, :2]).any(axis=1), "an area, x0 < x1 and y0 < y1"
    elif layout == "wsol":
        bad_M, expected = (corners_M4[:, 2:] < corners_M4[:, :2]).any(axis=1), "x0 <= x1 and y0 <= y1"
    else:
        return
    if bad_M.any():
        image_ids = catalog.column("image_id").take(pa.array(row_M[bad_M])).to_pylist()
        boxes = [", ".join(f"{number:g}" for number in numbers) for numbers in numbers_M4[bad_M][:3]]
        shown = abbreviate([f"{box} of {image_id}" for box, image_id in zip(boxes, image_ids, strict=False)])
        raise UserError(
            f"{source}: found {len(image_ids)} boxes that are inside out ({shown}), expected {expected};"
            " swap their corners or remove them"
        )
