"""Ground-truth boxes from CSV files, as columns, and their distribution over images."""

import csv
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.csv_columns import CORNERS, check_columns
from psol_ray.catalog.unicode_forms import composed
from psol_ray.errors import UserError
from psol_ray.storage.tree import DataPath
from psol_ray.tables.schemas import CATALOG

__all__ = ["Annotations", "box_lists", "lists_of", "numbers_of", "read_boxes_csv", "read_solution_csv"]

_LARGEST = float(np.finfo(np.float32).max)  # tables hold float32


@dataclass
class Annotations:
    """Boxes in the order they were read, each with its image and the class of its object, "" if unsaid."""

    image_keys: list[str] = field(default_factory=list)
    class_names: list[str] = field(default_factory=list)
    corners: "array[float]" = field(default_factory=lambda: array("d"))
    image_sizes: dict[str, tuple[int, int]] = field(default_factory=dict)  # of the images that a file says it of

    def add(self, image_key: str, class_name: str, corners: Iterable[float]) -> None:
        """Append one box (x0, y0, x1, y1)."""
        self.image_keys.append(image_key)
        self.class_names.append(class_name)
        self.corners.extend(corners)

    @property
    def corners_M4(self) -> NDArray[np.float32]:
        """Boxes as float32 of shape (M, 4)."""
        return np.array(self.corners, np.float32).reshape(-1, 4)

    def rows(self, image_keys: pa.Array) -> NDArray[np.int64]:
        """For each box the row of its image in `image_keys`, -1 where it is not there; Unicode's form is no matter."""
        keys = composed(pa.array(self.image_keys, pa.string()))
        found = pc.index_in(keys, value_set=composed(image_keys)).fill_null(-1)
        return np.asarray(found, np.int64)


def box_lists(image_keys: pa.Array, annotations: Annotations) -> pa.Array:
    """The `gt_boxes` column for the images of these keys; boxes of other images are left out.

    The boxes of an image keep their order. `image_keys` must be unique.
    """
    row_M = annotations.rows(image_keys)
    return lists_of(row_M, annotations.corners_M4, len(image_keys))


def lists_of(row_M: NDArray[np.int64], numbers_M4: NDArray[np.floating], num_images: int) -> pa.Array:
    """The `gt_boxes` column of boxes that know their images' rows; those of row -1 are left out."""
    order = np.argsort(row_M, kind="stable")[np.count_nonzero(row_M < 0) :]
    counts_N = np.bincount(row_M[order], minlength=num_images)
    offsets = np.concatenate([[0], np.cumsum(counts_N)]).astype(np.int32)
    list_type = CATALOG.field("gt_boxes").type
    numbers = pa.array(numbers_M4[order].astype(np.float32).ravel())
    boxes = pa.FixedSizeListArray.from_arrays(numbers, type=list_type.value_type)
    return pa.ListArray.from_arrays(pa.array(offsets), boxes, type=list_type)


def read_boxes_csv(path: DataPath) -> Annotations:
    """Read `image_id,x0,y0,x1,y1`: a box a row, several rows an image allowed, columns in any order.

    What the numbers mean, and whether they are boxes, is asked once images have sizes (`catalog.coordinates`).

    Raises:
        UserError: a column is missing, or a row holds no four finite numbers.
    """
    boxes = Annotations()
    for where, (image_id, *texts) in _rows(path, ("image_id", *CORNERS)):
        boxes.add(image_id, "", numbers_of(where, texts))
    return boxes


def read_solution_csv(path: DataPath) -> Annotations:
    """Read Kaggle's `ImageId,PredictionString`, where the latter repeats `wnid x0 y0 x1 y1`.

    Keys are image ids without folder and suffix, as in the file. Corners are taken as they are, as in the
    official metrics: the last pixel is named rather than the edge behind it, and a box may have no area.

    Raises:
        UserError: a column is missing, or a row is not of this form.
    """
    boxes = Annotations()
    for where, (image_key, prediction) in _rows(path, ("ImageId", "PredictionString")):
        words = prediction.split()
        if not words or len(words) % 5:
            raise UserError(
                f"{where}: found {len(words)} words in PredictionString, expected `wnid x0 y0 x1 y1` once or"
                " more; download the file again"
            )
        for i in range(0, len(words), 5):
            boxes.add(image_key, words[i], numbers_of(where, words[i + 1 : i + 5]))
    return boxes


def _rows(path: DataPath, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Where each row of a CSV file is, for errors, and its values in these columns."""
    # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            header = [name.strip() for name in next(reader, [])]
            check_columns(path, header, columns, "data.coordinates")
            at = [header.index(name) for name in columns]
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if len(row) == len(header):
                    yield where, [row[i] for i in at]
                elif row:
                    raise UserError(f"{where}: found {len(row)} values, expected {len(header)}; fix it")
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(f"{path}: found {error}, expected CSV in UTF-8; save it as such") from None


def numbers_of(where: str, texts: Sequence[str]) -> list[float]:
    """The four numbers of a box.

    Raises:
        UserError: these are none, or do not fit float32; the message begins with `where`.
    """
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        numbers = [math.nan]
    if not all(abs(number) <= _LARGEST for number in numbers):
        raise UserError(f"{where}: found {', '.join(texts)}, expected four finite numbers; fix the box")
    return numbers
