"""`boxes.csv` in the root of images that lie in class folders."""

from collections import Counter

import numpy as np
import pyarrow as pa

from psol_ray.catalog.annotations import Annotations, box_lists, read_boxes_csv
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath

__all__ = ["BOXES_FILE", "boxes_of_tree"]

BOXES_FILE = "boxes.csv"


def boxes_of_tree(
    root: DataPath, image_ids: pa.Array, passed_over: PassedOver
) -> tuple[DataPath | None, pa.Array, PassedOver]:
    """The file, where there is one, the `gt_boxes` column of these images, and boxes of images that are passed over.

    Raises:
        UserError: it is malformed, or speaks of images that are not there.
    """
    csv = root / BOXES_FILE
    found = csv if csv.is_file() else None
    boxes = read_boxes_csv(csv) if found else Annotations()
    return found, box_lists(image_ids, boxes), _check_unknown_images(csv, root, boxes, image_ids, passed_over)


def _check_unknown_images(
    csv: DataPath, root: DataPath, boxes: Annotations, image_ids: pa.Array, beside: PassedOver
) -> PassedOver:
    """Refuse boxes of images that are not there; those in folders that are not read are passed over as well."""
    not_read = {name for reason, name in beside if reason in (Reason.FOLDER, Reason.UNSORTED)}
    unknown = [boxes.image_keys[i] for i in np.flatnonzero(boxes.rows(image_ids) < 0)]
    lost = [key for key in unknown if key.partition("/")[0] not in not_read]
    if lost:
        raise UserError(
            f"{csv}: found {len(lost)} boxes of images that are not there ({abbreviate(lost)}),"
            f" expected paths below {root} such as {image_ids[0]}; fix or remove these rows"
        )
    return Counter((Reason.BOX, key.partition("/")[0]) for key in unknown)
