"""What the numbers of ground-truth boxes mean: known once images have sizes, and checked over all boxes together.

Shape suffixes: N images, M boxes, 4 = as given, or (x0, y0, x1, y1) in pixels of the image.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.listing import Listing
from psol_ray.catalog.odd_boxes import check_each, flat_boxes, leave_out_odd, with_boxes
from psol_ray.catalog.said_sizes import check_annotated_sizes
from psol_ray.catalog.settings import DataConfig
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.geometry.readings import Reading, to_pixels
from psol_ray.geometry.units import check_units
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.schemas import TEST, TRAIN

__all__ = ["boxes_in_pixels", "settle_boxes"]

SETTING = "data.coordinates"

_IMAGENET = "imagenet"
_CUB = "cub"  # x y width height; all others have corners in pixels
_SPLIT_FILES = (_IMAGENET, "wsol")  # whose splits have files of their own, so that one may be right and one wrong


def settle_boxes(
    catalog: pa.Table, listing: Listing, layout: str, data: DataConfig
) -> tuple[pa.Table, Listing, list[str]]:
    """The catalog with `gt_boxes` that are boxes of its images, in pixels, the listing with remarks on them, and in
    what they are not whole.

    Args:
        catalog: schema `CATALOG`; boxes are four numbers each, as the layout's reader found them.
        listing: what the catalog was made of.
        layout: whose reader that was.
        data: where the boxes were found, and what the user says of them.

    Raises:
        UserError: boxes are of images of other sizes; taken together, they cannot be what they are said to be; or
            single ones are inside out or outside their images. ImageNet's are left out.
    """
    listing = check_annotated_sizes(catalog, listing)
    catalog = boxes_in_pixels(catalog, layout, data)
    if layout != _IMAGENET:
        return catalog, listing, []
    catalog, remark, are_many = leave_out_odd(catalog)
    if are_many:
        return catalog, listing, [f"catalog: {remark}; mend the annotations, and run `psol index --overwrite`"]
    return catalog, replace(listing, remarks=[*listing.remarks, remark]) if remark else listing, []


def boxes_in_pixels(catalog: pa.Table, layout: str, data: DataConfig) -> pa.Table:
    """The catalog with `gt_boxes` in pixels of the image, where `data.coordinates` says that they are something else.

    Args and errors are those of `settle_boxes`; ImageNet's single boxes are taken as they are.
    """
    row_M, numbers_M4 = flat_boxes(catalog)
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
        if layout != _IMAGENET:
            reading, area = Reading.of(coordinates), layout in ("folder", _CUB)
            check_each(catalog, row_M[of_split_M], numbers_M4[of_split_M], reading, source, area=area)
    return catalog if coordinates == own else with_boxes(catalog, row_M, to_pixels(numbers_M4, sizes_M2, coordinates))


def _source(layout: str, data: DataConfig, split: str) -> str:
    root = Path(data.root)
    if layout == "wsol":
        return str(Path(data.metadata or root) / split / "localization.txt")
    names = {"folder": "boxes.csv", _CUB: "bounding_boxes.txt", _IMAGENET: f"annotations of {split} images"}
    return str(root / names.get(layout, "boxes"))
