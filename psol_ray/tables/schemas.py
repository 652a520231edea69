"""Arrow schemas of every table. A stage knows nothing of the one before it but these."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = [
    "BOXES",
    "CATALOG",
    "HEAT",
    "MAPS",
    "MISSING",
    "NOT_READ",
    "NO_FOREGROUND",
    "OK",
    "PLACES",
    "PREDICTIONS",
    "REJECTED",
    "SCORES",
    "TEST",
    "TRAIN",
    "UNREADABLE",
    "WITHOUT_BOX",
    "box_columns",
    "boxes_array",
    "place_columns",
]

TRAIN = "train"
TEST = "test"

OK = "ok"
NO_FOREGROUND = "no_foreground"
UNREADABLE = "unreadable"  # its bytes were read, and are no image
MISSING = "missing"  # the stage went on without it: its file could not be opened, or its part was set aside
REJECTED = "rejected"  # somebody has looked at its box, and said that it is none
NOT_READ = (UNREADABLE, MISSING)
WITHOUT_BOX = (*NOT_READ, REJECTED)

# An image whose header cannot be read is in the catalog with width = height = 0: it is data, not an exception.
CATALOG = pa.schema(
    [
        ("image_id", pa.string()),  # path below the data root, "/" separated, never absolute
        ("label", pa.int32()),
        ("class_name", pa.string()),
        ("split", pa.string()),  # TRAIN or TEST
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("gt_boxes", pa.list_(pa.list_(pa.float32(), 4))),  # (x0, y0, x1, y1); empty where unknown
    ]
)

_CORNERS = [(name, pa.float32()) for name in ("x0", "y0", "x1", "y1")]

# Beside those of `CATALOG`, where images lie in shards: which file below the data root, and where in it: the first byte
# and how many, of a tar file; the row, of Parquet, of which `bytes` is how large the image is.
PLACES = pa.schema([("shard", pa.string()), ("offset", pa.int64()), ("bytes", pa.int64())])

BOXES = pa.schema(
    [
        ("image_id", pa.string()),
        ("label", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        *_CORNERS,
        ("status", pa.string()),  # OK, NO_FOREGROUND (box is the whole image), UNREADABLE, MISSING or REJECTED (NaN)
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

# DDT's heat, which pages draw over images: boxes come of it as it was, in float32.
HEAT = pa.schema(
    [
        ("image_id", pa.string()),
        ("height", pa.int16()),  # 0 for an image that cannot be read
        ("width", pa.int16()),
        # Signed bytes, row by row, above 0 where object is, 127 or -127 the farthest from it; none for an image that
        # cannot be read.
        ("values", pa.binary()),
    ]
)

# What metrics.json, per_class.csv, the page and the paper's tables are made from. Training images come first; in a
# split, images are ordered by label, then by image_id. IoUs are with the best of the image's ground-truth boxes: null
# where the image has none or no box was made for it, 0 where it could not be read. They are not rounded, so at a tie
# ask `pseudo_right` and `predicted_right`, which are.
SCORES = pa.schema(
    [
        ("image_id", pa.string()),
        ("label", pa.int32()),
        ("class_name", pa.string()),
        ("split", pa.string()),
        ("readable", pa.bool_()),  # by whoever opened it: the catalog, the generator, the localizer
        ("has_gt_box", pa.bool_()),  # without one it counts for classification alone
        ("gt_outside_crop", pa.bool_()),  # all of it, where scores are of the crop: it counts, as wrong
        ("pseudo_status", pa.string()),  # as in the boxes table; null where that has no row
        ("predicted_status", pa.string()),  # OK or UNREADABLE; null where the predictions table has no row
        # By the run's protocol (`evaluate.coordinates`, `evaluate.iou_rule`): in its coordinates, and right or not.
        ("pseudo_iou", pa.float64()),
        ("predicted_iou", pa.float64()),
        ("pseudo_right", pa.bool_()),  # null where the IoU is
        ("predicted_right", pa.bool_()),
        # Whatever the protocol: of whole images, and in the paper's centre crop.
        ("pseudo_iou_original", pa.float64()),
        ("predicted_iou_original", pa.float64()),
        ("pseudo_iou_crop", pa.float64()),
        ("predicted_iou_crop", pa.float64()),
        # Of the classifier: null where there is none, and for training images.
        ("predicted_class", pa.string()),  # the most probable; null for an unreadable image, too
        ("true_class_rank", pa.int32()),  # 0 is the most probable; null where it is not among the predicted ones, too
        ("top1", pa.bool_()),
        ("top5", pa.bool_()),
    ]
)


def place_columns(images: pa.Table) -> pa.Table:
    """Of catalog rows what is needed to find the images, and no more."""
    return images.select([name for name in ("image_id", "width", *PLACES.names) if name in images.column_names])


def box_columns(boxes_N4: NDArray[np.floating]) -> dict[str, NDArray[np.float32]]:
    """The four corner columns of `BOXES` and `PREDICTIONS`."""
    return {name: boxes_N4[:, i].astype(np.float32) for i, name in enumerate(("x0", "y0", "x1", "y1"))}


def boxes_array(table: pa.Table) -> NDArray[np.float64]:
    """Inverse of `box_columns`: float64 of shape (rows, 4)."""
    columns = [table.column(name).to_numpy().astype(np.float64) for name in ("x0", "y0", "x1", "y1")]
    return np.stack(columns, axis=1) if len(table) else np.zeros((0, 4))
