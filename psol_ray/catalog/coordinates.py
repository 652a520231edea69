"""What the numbers of ground-truth boxes mean: known once images have sizes, and checked over all boxes together.

Shape suffixes: N images, M boxes, 4 = as given, or (x0, y0, x1, y1) in pixels of the image.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.listing import Listing
from psol_ray.catalog.odd_boxes import check_each, flat_boxes, leave_out_odd, with_boxes
from psol_ray.catalog.said_sizes import check_annotated_sizes
from psol_ray.catalog.settings import DataConfig
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.geometry.readings import Floats, Reading, to_pixels
from psol_ray.geometry.units import check_units
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.schemas import TEST, TRAIN

__all__ = ["boxes_in_pixels", "own_coordinates", "settle_boxes"]

SETTING = "data.coordinates"

_IMAGENET = "imagenet"
_CUB = "cub"  # whose reader makes corners of x y width height, in which single boxes are asked after
_OWN: dict[str, Coordinates] = {_CUB: "pixels_xywh", "coco": "pixels_xywh", "yolo": "fractions_cxcywh"}
_SPLIT_FILES = (_IMAGENET, "wsol")  # whose splits have files of their own, so that one may be right and one wrong
# Made by many hands, or by programs, and large: what is odd in them is left out and told of.
_LENIENT = (_IMAGENET, "list", "coco", "yolo", "voc")
_WITH_AREA = ("folder", "classes", "one_class", _CUB, "list", "coco", "yolo")  # the others' corners name the last pixel
_SOURCES = {
    "folder": "boxes.csv",
    "classes": "boxes.csv",
    "one_class": "boxes.csv",
    _CUB: "bounding_boxes.txt",
    "list": "images.*",
    "yolo": "labels",
    "coco": "annotations",
    "voc": "Annotations",
}


def own_coordinates(layout: str) -> Coordinates:
    """How a layout's boxes are given where the user does not say otherwise."""
    return _OWN.get(layout, "pixels")


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
            single ones are inside out or outside their images. Those of ImageNet and of annotations that are made by
            programs (`_LENIENT`) are left out instead.
    """
    listing = check_annotated_sizes(catalog, listing)
    gaps = list(listing.gaps)
    _check(catalog, layout, data)
    if layout in _LENIENT:
        reading = Reading.of(data.coordinates or own_coordinates(layout))
        catalog, remark, are_many = leave_out_odd(catalog, reading, area=layout in _WITH_AREA)
        if are_many:
            gaps.append(f"catalog: {remark}; mend the annotations, and run `psol index --overwrite`")
        elif remark:
            listing = replace(listing, remarks=[*listing.remarks, remark])
    return _converted(catalog, layout, data), listing, gaps


def boxes_in_pixels(catalog: pa.Table, layout: str, data: DataConfig) -> pa.Table:
    """The catalog with `gt_boxes` in pixels of the image, in whatever way they are given.

    Args and errors are those of `settle_boxes`; single boxes that this leaves out are taken as they are.
    """
    _check(catalog, layout, data)
    return _converted(catalog, layout, data)


def _numbers(catalog: pa.Table, layout: str) -> tuple[NDArray[np.int64], Floats]:
    """The row of the image of each box, and its numbers as given."""
    row_M, numbers_M4 = flat_boxes(catalog)
    if layout == _CUB:
        numbers_M4 = np.concatenate([numbers_M4[:, :2], numbers_M4[:, 2:] - numbers_M4[:, :2]], axis=1)
    return row_M, numbers_M4


def _check(catalog: pa.Table, layout: str, data: DataConfig) -> None:
    row_M, numbers_M4 = _numbers(catalog, layout)
    if not len(row_M):
        return
    coordinates = data.coordinates or own_coordinates(layout)
    sizes_M2 = image_sizes(catalog)[row_M]
    test_M = np.asarray(pc.equal(catalog.column("split"), TEST))[row_M]
    for split, of_split_M in ((TRAIN, ~test_M), (TEST, test_M)) if layout in _SPLIT_FILES else (("", test_M | True),):
        source = _source(layout, data, split)
        said = data.coordinates is not None
        check_units(numbers_M4[of_split_M], sizes_M2[of_split_M], coordinates, source, SETTING, said=said)
        if layout not in _LENIENT:
            reading, area = Reading.of(coordinates), layout in _WITH_AREA
            check_each(catalog, row_M[of_split_M], numbers_M4[of_split_M], reading, source, area=area)


def _converted(catalog: pa.Table, layout: str, data: DataConfig) -> pa.Table:
    coordinates = data.coordinates or own_coordinates(layout)
    row_M, numbers_M4 = _numbers(catalog, layout)
    if not len(row_M) or coordinates == ("pixels_xywh" if layout == _CUB else "pixels"):
        return catalog
    return with_boxes(catalog, row_M, to_pixels(numbers_M4, image_sizes(catalog)[row_M], coordinates))


def _source(layout: str, data: DataConfig, split: str) -> str:
    root = Path(data.root)
    if layout == "wsol":
        return str(Path(data.metadata or root) / split / "localization.txt")
    if layout == _IMAGENET:
        return str(root / f"annotations of {split} images")
    return str(root / _SOURCES.get(layout, "boxes"))
