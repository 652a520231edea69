"""The column of a Parquet file that holds encoded images: bytes, or a struct with the field `bytes`.

The latter is how the hubs of machine learning share image data sets: `image: struct<bytes: binary, path: string>`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.errors import UserError

__all__ = ["ImageColumn", "find_image_column"]

_NAMES = ("image", "img", "jpg", "jpeg", "png", "bytes", "image_bytes")


@dataclass(frozen=True)
class ImageColumn:
    """Where a table's images are: `path` is the column as Parquet's readers are asked for it."""

    name: str
    path: str
    is_struct: bool

    def bytes_of(self, cells: pa.ChunkedArray) -> pa.ChunkedArray:
        """The encoded images of a column read by `path`."""
        return pc.struct_field(cells, "bytes") if self.is_struct else cells


def find_image_column(where: str, schema: pa.Schema) -> ImageColumn:
    """The only column of images, or the one with a usual name.

    Raises:
        UserError: there is none, or several.
    """
    found = [field for field in schema if _holds_bytes(field.type)]
    usual = [field for field in found if field.name.lower() in _NAMES]
    candidates = found if len(found) == 1 else usual
    if len(candidates) != 1:
        names = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise UserError(
            f"{where}: found the columns {names}, expected one of encoded images: binary, or a struct with a field"
            " `bytes`, and named image where there are several; rename it, or leave this file out"
        )
    (field,) = candidates
    is_struct = pa.types.is_struct(field.type)
    return ImageColumn(field.name, f"{field.name}.bytes" if is_struct else field.name, is_struct)


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" and _is_binary(kind.field(i).type) for i in range(kind.num_fields))
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    tests: Sequence[Callable[[pa.DataType], bool]] = (pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)
