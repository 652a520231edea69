"""Collects what a file says of images one after the other, for formats that name images and have no numbers."""

from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from psol_ray.errors import UserError
from psol_ray.evaluation.join import check_rows
from psol_ray.formats.base import MatchedBoxes
from psol_ray.formats.paths import known_rows
from psol_ray.geometry.coordinates import Coordinates

__all__ = ["Found", "is_box", "is_number"]


def is_number(value: Any) -> bool:
    """Whether JSON has a number there."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_box(value: Any) -> bool:
    """Whether JSON has a list of four numbers there."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


class Found:
    """Images in the order they were read, and their boxes."""

    def __init__(self, path: Path) -> None:
        """Args:
        path: where they are found, for messages.
        """
        self._path = path
        self._names: list[str] = []
        self._image_M: array[int] = array("q")
        self._corners: array[float] = array("d")
        self._scores: array[float] = array("d")
        self._foreground = bytearray()
        self._broken: dict[str, None] = {}

    def add_image(self, name: str) -> None:
        """Of which the boxes are that follow."""
        self._names.append(name)

    def add_box(self, box: Any, score: Any, *, foreground: bool = True) -> None:
        """Take a box; what is none is told of by `match`."""
        if not is_box(box):
            self._broken[self._names[-1]] = None
            return
        self._image_M.append(len(self._names) - 1)
        self._corners.extend(box)
        self._scores.append(score if is_number(score) else np.nan)
        self._foreground.append(foreground)

    def match(self, catalog: pa.Table, coordinates: Coordinates) -> MatchedBoxes:
        """The boxes as the catalog's; in images without any, nothing was found.

        Raises:
            UserError: there is no image, a box is none, or a path means no image of the catalog, or several.
        """
        if not self._names:
            raise UserError(
                f"{self._path}: found no images, expected a box for each of {len(catalog)}; export it again"
            )
        broken = pa.table({"image_id": pa.array(self._broken, pa.string())})
        complaint = "with a box that is not four numbers; export it again"
        check_rows(broken, np.ones(len(broken), bool), str(self._path), complaint)
        rows_K = known_rows(self._path, pa.array(self._names, pa.string()), catalog)
        image_M = np.array(self._image_M, np.int64)
        return MatchedBoxes(
            rows_K[image_M],
            np.array(self._corners, np.float64).reshape(-1, 4),
            np.frombuffer(self._foreground, bool).copy(),
            coordinates=coordinates,
            scores_M=np.array(self._scores, np.float64),
            empty_K=rows_K[np.setdiff1d(np.arange(len(self._names)), image_M)],
        )
