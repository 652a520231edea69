"""The layouts of image folders that can be read, by name."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from psol_ray.catalog.cub import list_cub
from psol_ray.catalog.folder import list_folder
from psol_ray.catalog.imagenet import list_imagenet
from psol_ray.errors import UserError

__all__ = ["LAYOUTS", "list_images"]

LAYOUTS: dict[str, Callable[[Path], pa.Table]] = {
    "imagenet": list_imagenet,
    "cub": list_cub,
    "folder": list_folder,
}


def list_images(layout: str, root: str) -> pa.Table:
    """All images of a data set, without opening one.

    Args:
        layout: a key of `LAYOUTS`; each reader's docstring draws its folders.
        root: the folder that image ids are relative to.

    Returns:
        Schema `LISTING` (`CATALOG` without sizes), sorted by split (train first), class_name and image_id.
        Labels number the sorted class names of the training split from 0.

    Raises:
        UserError: the folders or annotations are not what the layout says.
    """
    if layout not in LAYOUTS:
        raise UserError(f"data.layout is {layout!r}, expected one of {', '.join(LAYOUTS)}; set it to one")
    path = Path(root)
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise UserError(f"data.root {root!r} {found}, expected a folder of images; set it to the data set's")
    return LAYOUTS[layout](path)
