"""Which boxes are exported, and in which order."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.evaluation.join import catalog_rows, check_inside_out
from psol_ray.geometry.boxes import area
from psol_ray.tables.schemas import boxes_array

__all__ = ["Rows", "rows_to_export"]


@dataclass(frozen=True)
class Rows:
    """N images in the order of the catalog, each with a box."""

    images: pa.Table  # their rows of the catalog
    boxes_N4: NDArray[np.float64]  # (x0, y0, x1, y1) in pixels of the original image
    num_left_out: int  # images that could not be read, and boxes without area: no reader takes those

    def column(self, name: str) -> NDArray[np.int64]:
        """A column of numbers of the catalog."""
        return np.asarray(self.images.column(name), np.int64)

    @property
    def image_ids(self) -> list[str]:
        """One an image."""
        return list(self.images.column("image_id").to_pylist())


def rows_to_export(catalog: pa.Table, table: pa.Table) -> Rows:
    """The rows of a boxes or predictions table that hold a box.

    Raises:
        UserError: an image is not in the catalog or there twice, or a box is inside out.
    """
    rows_N = catalog_rows(catalog, table, "table")
    check_inside_out(table, "table")
    boxes_N4 = boxes_array(table)
    width_N, height_N = (catalog.column(name).to_numpy()[rows_N] for name in ("width", "height"))
    readable_N = (area(boxes_N4) > 0) & (width_N > 0) & (height_N > 0)  # NaN is not above 0
    order = np.flatnonzero(readable_N)[np.argsort(rows_N[readable_N])]
    return Rows(catalog.take(rows_N[order]), boxes_N4[order], int((~readable_N).sum()))
