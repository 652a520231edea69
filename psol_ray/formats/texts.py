"""Numbers and names as texts, a column at a time: of a million boxes, Python would make one text after the other.

Shape suffixes: N boxes, 4 = (x0, y0, x1, y1) in pixels.
"""

import json
from collections.abc import Iterable
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["as_bytes", "hundred_millionths", "join", "json_texts", "numbers", "sides", "write_items"]

_FLOAT32_DIGITS = 9  # tell all float32 apart
_SHARES = 10**8
_COMMA = ",\n"


def numbers(values: NDArray[np.number]) -> pa.Array:
    """The fewest digits that give each value again, of whatever type it is."""
    return pa.array(values).cast(pa.string())


def sides(starts_N: NDArray[np.float64], ends_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """`end - start` in no more digits than a float32 may have, and still enough: float32(start + side) is the end."""
    # A start that was rounded may be beyond the end, by less than a float32 tells.
    sides_N = np.maximum(ends_N - starts_N, 0)
    with np.errstate(divide="ignore"):
        magnitude_N = np.floor(np.log10(np.where(sides_N > 0, sides_N, 1)))
    factor_N = 10.0 ** (_FLOAT32_DIGITS - 1 - np.maximum(magnitude_N, -_FLOAT32_DIGITS))
    rounded_N: NDArray[np.float64] = np.rint(sides_N * factor_N) / factor_N
    return rounded_N


def hundred_millionths(boxes_N4: NDArray[np.float64], sizes_N2: NDArray[np.int64]) -> NDArray[np.int64]:
    """Corners as so many hundred-millionths of the image's sides.

    As whole numbers, because then centre and size are exact, and give the same corners again.
    """
    return np.rint(boxes_N4 / np.tile(sizes_N2, 2) * _SHARES).astype(np.int64)


def json_texts(names: Iterable[str]) -> pa.Array:
    """Names as JSON has them, in quotes."""
    return pa.array([json.dumps(name, ensure_ascii=False) for name in names], pa.string())


def join(*parts: pa.Array | str) -> pa.Array:
    """A text a row, of parts that follow each other; a part that is one text is in every row."""
    return pc.binary_join_element_wise(*parts, "")


def as_bytes(texts: pa.Array) -> memoryview:
    """All texts, one after the other."""
    if not len(texts):
        return memoryview(b"")
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(texts.buffers()[2])[int(offsets[0]) : int(offsets[-1])]


def write_items(file: IO[bytes], columns: Iterable[pa.Array]) -> None:
    """Write texts with a comma and a line break between them, as items of a JSON list or mapping."""
    first = True
    for texts in columns:
        content = as_bytes(join(_COMMA, texts))
        file.write(content[len(_COMMA) :] if first else content)
        first &= not len(texts)
