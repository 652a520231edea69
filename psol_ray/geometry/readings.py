"""Four numbers read as a box: in which order, and in which unit.

Shape suffixes: M boxes, 4 = as given, or (x0, y0, x1, y1), 2 = (width, height) of the box's image in pixels.
"""

from dataclasses import dataclass
from typing import Self, get_args

import numpy as np
from numpy.typing import NDArray

from psol_ray.geometry.boxes import scale
from psol_ray.geometry.coordinates import Coordinates

__all__ = ["ANY_CORNERS", "ORDERS", "Floats", "Reading", "to_pixels"]

Floats = NDArray[np.float64]

_SIDES: dict[str, int | None] = {"pixels": None, "fractions": 1, "percent": 100, "thousandths": 1000}
_UNIT_WORDS: dict[int | None, str] = {
    None: "in pixels",
    1: "as fractions of the image",
    100: "in percent of the image",
    1000: "in thousandths of the image",
}

ANY_CORNERS = "any"
ORDERS = {
    "xyxy": "x0 y0 x1 y1",
    "xywh": "x y width height",
    "cxcywh": "centre_x centre_y width height",
    "yxyx": "y0 x0 y1 x1",
    "xyhw": "x y height width",
    "yxhw": "y x height width",
    "xxyy": "x0 x1 y0 y1",
    "far": "x1 y1 x0 y0",
    ANY_CORNERS: "two corners of which either may come first",
}
"""Orders that are recognised, in words. Not all have a name in `Coordinates`: the others are for messages."""


@dataclass(frozen=True)
class Reading:
    """An order, and the side of the square to which images are squashed; None is pixels of the image itself."""

    order: str
    side: int | None

    @classmethod
    def of(cls, coordinates: Coordinates) -> Self:
        """The reading of this name."""
        unit, _, order = coordinates.partition("_")
        return cls(order or "xyxy", _SIDES[unit])

    @property
    def name(self) -> Coordinates | None:
        """Its name as a setting, where it has one."""
        names: tuple[Coordinates, ...] = get_args(Coordinates)
        return next((name for name in names if Reading.of(name) == self), None)

    @property
    def words(self) -> str:
        """`x0 y0 x1 y1 as fractions of the image`."""
        unit = _UNIT_WORDS.get(self.side) or f"in images resized to {self.side} x {self.side}"
        return f"{ORDERS[self.order]} {unit}"

    def corners(self, numbers_M4: Floats) -> Floats:
        """`(x0, y0, x1, y1)` in the reading's own unit."""
        a, b, c, d = numbers_M4.T
        match self.order:
            case "xywh":
                columns = a, b, a + c, b + d
            case "cxcywh":
                columns = a - c / 2, b - d / 2, a + c / 2, b + d / 2
            case "yxyx":
                columns = b, a, d, c
            case "xyhw":
                columns = a, b, a + d, b + c
            case "yxhw":
                columns = b, a, b + d, a + c
            case "xxyy":
                columns = a, c, b, d
            case "far":
                columns = c, d, a, b
            case "any":
                columns = np.minimum(a, c), np.minimum(b, d), np.maximum(a, c), np.maximum(b, d)
            case _:
                return numbers_M4
        return np.stack(columns, axis=1)

    def fractions(self, numbers_M4: Floats, sizes_M2: NDArray[np.integer]) -> Floats:
        """`(x0, y0, x1, y1)` as fractions of images, each of a size."""
        corners_M4 = self.corners(numbers_M4)
        return corners_M4 / np.tile(sizes_M2, 2) if self.side is None else corners_M4 / self.side


def to_pixels(numbers_M4: Floats, sizes_M2: NDArray[np.integer], coordinates: Coordinates) -> Floats:
    """`(x0, y0, x1, y1)` in pixels of the image; in an image of size 0 all but pixels become 0."""
    reading = Reading.of(coordinates)
    corners_M4 = reading.corners(np.asarray(numbers_M4, np.float64))
    if reading.side is None:
        return corners_M4
    width_M, height_M = sizes_M2.T / reading.side
    return np.asarray(scale(corners_M4, width_M, height_M), np.float64)
