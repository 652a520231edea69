"""Images of which annotations name the objects, each with a class and a box: to which class such an image belongs.

An image has one class here, and one main object. Of several classes it is the one whose boxes have the largest area
together, or the first that is named where two have the same. The boxes of that class alone are the image's ground
truth: a box around another thing in it would not be right. Shape suffixes: N images, M objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.annotations import lists_of
from psol_ray.catalog.faults import Faults
from psol_ray.catalog.listing import Listing, join_splits, split_table
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.unicode_forms import composed
from psol_ray.errors import UserError
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.geometry.readings import Reading
from psol_ray.storage.tree import DataPath
from psol_ray.tables.schemas import TEST, TRAIN

__all__ = ["Objects", "list_objects", "main_classes"]

_LARGEST = float(np.finfo(np.float32).max)  # tables hold float32


@dataclass(frozen=True)
class Objects:
    """What annotations name, in their order.

    Attributes:
        row_M: each object's image.
        names: class names, length M; null where the annotations say none.
        numbers_M4: boxes as given; all NaN where there is only a class.
    """

    row_M: NDArray[np.int64]
    names: pa.Array
    numbers_M4: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Self], lengths: Sequence[int]) -> Self:
        """Those of several tables of images, each of such a length, as of one."""
        starts = np.cumsum([0, *lengths])
        return cls(
            np.concatenate([part.row_M + start for part, start in zip(parts, starts, strict=False)]),
            pa.concat_arrays([part.names for part in parts]),
            np.concatenate([part.numbers_M4 for part in parts]),
        )

    def of_images(self, kept_N: NDArray[np.bool_]) -> "Objects":
        """Those of some images, whose table is that of these alone."""
        row_N = np.cumsum(kept_N) - 1
        some = self.where(kept_N[self.row_M])
        return Objects(row_N[some.row_M], some.names, some.numbers_M4)

    def where(self, kept_M: NDArray[np.bool_]) -> "Objects":
        """Some of them."""
        return Objects(self.row_M[kept_M], self.names.filter(pa.array(kept_M)), self.numbers_M4[kept_M])

    @property
    def boxed_M(self) -> NDArray[np.bool_]:
        """Which have a box."""
        return np.asarray(~np.isnan(self.numbers_M4).all(axis=1))


def list_objects(
    root: DataPath, images: pa.Table, objects: Objects, coordinates: Coordinates, source: object, **found: Any
) -> Listing:
    """The listing of images with such annotations; those without a class are passed over.

    Args:
        root: the folder that image ids are relative to.
        images: `image_id` and `split`, a row an image.
        objects: theirs.
        coordinates: how their boxes are given.
        source: what says them, for messages.
        found: the listing's other fields, and `faults`.

    Raises:
        UserError: no training image has a class.
    """
    faults: Faults = found.pop("faults")
    passed_over: PassedOver = found.pop("passed_over")
    objects = _with_numbers(images["image_id"], objects, source, faults)
    classes, kept_M = main_classes(len(images), objects, Reading.of(coordinates))
    boxes = objects.where(kept_M & objects.boxed_M)
    images = images.append_column("class_name", classes).append_column(
        "gt_boxes", lists_of(boxes.row_M, boxes.numbers_M4, len(images))
    )
    labelled = images.filter(pc.is_valid(images["class_name"]))
    passed_over[Reason.UNLABELLED, ""] += len(images) - len(labelled)
    train, test = (labelled.filter(pc.equal(labelled["split"], split)) for split in (TRAIN, TEST))
    if not len(train):
        raise UserError(
            f"{source}: found no class for any of {pc.sum(pc.equal(images['split'], TRAIN)).as_py() or 0:,} training"
            " images, expected one for some; add them, or see docs/layouts.md"
        )
    trained = pc.is_in(test["class_name"], value_set=pc.unique(train["class_name"]))
    for row in pc.value_counts(test.filter(pc.invert(trained))["class_name"]).to_pylist():
        passed_over[Reason.UNTRAINED, row["values"]] += row["counts"]
    test = test.filter(trained)
    tables = [
        split_table(split, *(part[name].combine_chunks() for name in ("image_id", "class_name", "gt_boxes")))
        for split, part in ((TRAIN, train), (TEST, test))
    ]
    told = faults.told()
    remarks = [*found.pop("remarks", []), *told["remarks"]]
    gaps = [*found.pop("gaps", []), *told["gaps"]]
    if not len(test):
        remarks.append("there is no test split")
    return join_splits(
        root,
        tables[0],
        tables[1] if len(test) else None,
        passed_over=+passed_over,
        remarks=remarks,
        gaps=gaps,
        **found,
    )


def main_classes(num_images: int, objects: Objects, reading: Reading) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Each image's class, null where no object has one, and which objects are of their images' classes."""
    encoded = composed(objects.names).dictionary_encode()
    code_M = np.asarray(encoded.indices.fill_null(-1), np.int64)
    named = np.flatnonzero(code_M >= 0)
    kinds = max(len(encoded.dictionary), 1)
    # A number for each class of each image, in the order in which they are named first.
    key_K, first_K, kind_M = np.unique(
        objects.row_M[named] * kinds + code_M[named], return_index=True, return_inverse=True
    )
    area_K = np.bincount(kind_M, weights=_areas(objects.numbers_M4[named], reading), minlength=len(key_K))
    order = np.lexsort((first_K, -area_K, key_K // kinds))
    rows, best = np.unique(key_K[order] // kinds, return_index=True)
    code_N = np.full(num_images, -1)
    code_N[rows] = key_K[order][best] % kinds
    kept_M = (code_M >= 0) & (code_N[objects.row_M] == code_M)
    return encoded.dictionary.take(pa.array(code_N, mask=code_N < 0)), kept_M


def _areas(numbers_M4: NDArray[np.float64], reading: Reading) -> NDArray[np.float64]:
    corners_M4 = reading.corners(numbers_M4)
    sides_M2 = np.abs(corners_M4[:, 2:] - corners_M4[:, :2])
    return np.nan_to_num(sides_M2.prod(axis=1))


def _with_numbers(image_ids: pa.ChunkedArray, objects: Objects, source: object, faults: Faults) -> Objects:
    """The objects, those whose boxes are no four finite numbers without these."""
    bad_M = objects.boxed_M & ~(np.abs(objects.numbers_M4) <= _LARGEST).all(axis=1)
    if not bad_M.any():
        return objects
    names = image_ids.take(pa.array(objects.row_M[bad_M][:3])).to_pylist()
    faults.add(source, "boxes that are no four finite numbers", names, int(bad_M.sum()))
    numbers_M4 = np.where(bad_M[:, None], np.nan, objects.numbers_M4)
    return Objects(objects.row_M, objects.names, numbers_M4)
