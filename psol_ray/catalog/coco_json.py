"""A file of COCO's, read into columns: never are a million images and boxes dictionaries at once."""

import json
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.storage.tree import DataPath

__all__ = ["CocoFile", "TextColumn", "read_coco"]

_AT_ONCE = 1 << 16
_NO_BOX = (math.nan,) * 4


class TextColumn:
    """An Arrow array of texts that grows."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._chunks: list[pa.Array] = []

    def append(self, text: str) -> None:
        """Add one."""
        self._texts.append(text)
        if len(self._texts) == _AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._chunks.append(pa.array(self._texts, pa.string()))
        self._texts.clear()

    def array(self) -> pa.Array:
        """All of them."""
        self._flush()
        return pa.concat_arrays(self._chunks)


@dataclass
class _Columns:
    """What was read of a file so far: images, annotations and categories, each in the order of the file."""

    image_ids: TextColumn = field(default_factory=TextColumn)
    names: TextColumn = field(default_factory=TextColumn)
    sides: "array[int]" = field(default_factory=lambda: array("q"))
    of_images: TextColumn = field(default_factory=TextColumn)
    categories: TextColumn = field(default_factory=TextColumn)
    corners: "array[float]" = field(default_factory=lambda: array("d"))
    crowd: bytearray = field(default_factory=bytearray)

    def take(self, row: dict[str, Any]) -> Any:
        """Take in a JSON object, and leave what says where; those within others say nothing."""
        if "image_id" in row:
            return self._take_annotation(row)
        if "file_name" in row:
            return self._take_image(row)
        if "images" in row or "annotations" in row or "categories" in row:
            return row
        return (str(row["id"]), str(row["name"])) if "id" in row and "name" in row else None

    def _take_image(self, row: dict[str, Any]) -> None:
        self.image_ids.append(str(row.get("id")))
        self.names.append(str(row["file_name"]))
        self.sides.extend((_side(row.get("width")), _side(row.get("height"))))

    def _take_annotation(self, row: dict[str, Any]) -> None:
        if "category_id" not in row:  # a caption
            return
        self.of_images.append(str(row["image_id"]))
        self.categories.append(str(row["category_id"]))
        self.corners.extend(_box(row.get("bbox")))
        self.crowd.append(bool(row.get("iscrowd")))


@dataclass(frozen=True)
class CocoFile:
    """The content of a file; ids are texts, since some programs write such.

    Attributes:
        image_ids: of N images.
        names: their `file_name`, as it is.
        sizes_N2: width and height as they are said, 0 where they are not.
        of_images: the image id of each of M annotations.
        categories: the category id of each.
        numbers_M4: x, y, width and height; NaN where there is no box, infinite where it is no four numbers.
        crowd_M: which are a region of many.
        category_names: by id.
    """

    image_ids: pa.Array
    names: pa.Array
    sizes_N2: NDArray[np.int64]
    of_images: pa.Array
    categories: pa.Array
    numbers_M4: NDArray[np.float64]
    crowd_M: NDArray[np.bool_]
    category_names: dict[str, str]


def read_coco(path: DataPath) -> CocoFile:
    """Read a file of detections: `images`, `annotations` and `categories`, and nothing of masks.

    Raises:
        UserError: it is no JSON, or none of this form, or has no images or no categories.
    """
    columns = _Columns()
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_hook=columns.take)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: found {error}, expected JSON of COCO; it may be cut short, copy it anew") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: found no images, annotations and categories, expected COCO's; choose another file")
    missing = [
        name
        for name in ("images", "annotations", "categories")
        if not (isinstance(content.get(name), list) and content[name])
    ]
    if missing:
        raise UserError(
            f"{path}: found no {' and no '.join(missing)} in it, expected COCO's images, annotations and categories;"
            " export it anew, or remove it"
        )
    return CocoFile(
        columns.image_ids.array(),
        columns.names.array(),
        np.array(columns.sides, np.int64).reshape(-1, 2),
        columns.of_images.array(),
        columns.categories.array(),
        np.array(columns.corners, np.float64).reshape(-1, 4),
        np.frombuffer(bytes(columns.crowd), np.uint8).astype(bool),
        dict(pair for pair in content["categories"] if isinstance(pair, tuple)),
    )


def _side(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 < value < 2**31 else 0


def _box(found: Any) -> Sequence[float]:
    if not found:
        return _NO_BOX
    try:
        x, y, width, height = (float(number) for number in found)
    except (TypeError, ValueError):
        return (math.inf,) * 4
    box = (x, y, width, height)
    return box if all(map(math.isfinite, box)) else (math.inf,) * 4
