"""Arrow schemas of every table. A stage knows nothing of the one before it but these."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = [
    "BOXES",
    "CATALOG",
    "MAPS",
    "NO_FOREGROUND",
    "OK",
    "PREDICTIONS",
    "UNREADABLE",
    "box_columns",
    "boxes_array",
]

OK = "ok"
NO_FOREGROUND = "no_foreground"
UNREADABLE = "unreadable"

# An image whose header cannot be read is in the catalog with width = height = 0: it is data, not an exception.
CATALOG = pa.schema(
    [
        ("image_id", pa.string()),  # path below the data root, "/" separated, never absolute
        ("label", pa.int32()),
        ("class_name", pa.string()),
        ("split", pa.string()),  # "train" or "test"
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("gt_boxes", pa.list_(pa.list_(pa.float32(), 4))),  # (x0, y0, x1, y1); empty where unknown
    ]
)

_CORNERS = [(name, pa.float32()) for name in ("x0", "y0", "x1", "y1")]

BOXES = pa.schema(
    [
        ("image_id", pa.string()),
        ("label", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        *_CORNERS,
        ("status", pa.string()),  # OK, NO_FOREGROUND (box is the whole image) or UNREADABLE (box is NaN)
        # Of DDT's component. Of a class map's component there is the area alone, and where a localizer drew the
        # boxes the area is the box's; the other three are NaN.
        ("area_fraction", pa.float32()),  # area of the component over that of the image
        ("mean_heat", pa.float32()),  # mean projection inside the component
        ("explained_variance_ratio", pa.float32()),  # of the class's first component
        ("sign_margin", pa.float32()),  # how clearly the class's sign was decided, 0 to 1
    ]
)

PREDICTIONS = pa.schema(
    [
        ("image_id", pa.string()),
        *_CORNERS,  # NaN for an image that cannot be read
        ("top_labels", pa.list_(pa.int32())),  # most probable first; empty for an image that cannot be read
        ("top_probs", pa.list_(pa.float32())),
    ]
)


# Class maps of test images, from which boxes of any threshold can be drawn again.
MAPS = pa.schema(
    [
        ("image_id", pa.string()),
        ("height", pa.int16()),  # 0 for an image that cannot be read
        ("width", pa.int16()),
        ("values", pa.list_(pa.float16())),  # row by row, stretched to [0, 1]; empty for an image that cannot be read
    ]
)


def box_columns(boxes_N4: NDArray[np.floating]) -> dict[str, NDArray[np.float32]]:
    """The four corner columns of `BOXES` and `PREDICTIONS`."""
    return {name: boxes_N4[:, i].astype(np.float32) for i, name in enumerate(("x0", "y0", "x1", "y1"))}


def boxes_array(table: pa.Table) -> NDArray[np.float64]:
    """Inverse of `box_columns`: float64 of shape (rows, 4)."""
    columns = [table.column(name).to_numpy().astype(np.float64) for name in ("x0", "y0", "x1", "y1")]
    return np.stack(columns, axis=1) if len(table) else np.zeros((0, 4))
