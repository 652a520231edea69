"""The layouts of image folders that can be read, by name."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from psol_ray.catalog.cub import list_cub
from psol_ray.catalog.folder import list_folder
from psol_ray.catalog.imagenet import list_imagenet
from psol_ray.catalog.wsol import list_wsol
from psol_ray.errors import UserError

__all__ = ["LAYOUTS", "list_images"]

LAYOUTS: dict[str, Callable[[Path], pa.Table]] = {
    "imagenet": list_imagenet,
    "cub": list_cub,
    "folder": list_folder,
    "wsol": list_wsol,
}


def list_images(layout: str, root: str, metadata: str | None = None) -> pa.Table:
    """All images of a data set, without opening one.

    Args:
        layout: a key of `LAYOUTS`; each reader's docstring draws its folders.
        root: the folder that image ids are relative to.
        metadata: of `wsol`, the folder of its text files, where they lie apart; then `root` need not exist.

    Returns:
        Schema `LISTING` (`CATALOG` without sizes), sorted by split (train first), class_name and image_id.
        Labels number the sorted class names of the training split from 0. `wsol` says order, labels and, where it
        can, sizes (schema `CATALOG`) itself.

    Raises:
        UserError: the folders or annotations are not what the layout says.
    """
    if layout not in LAYOUTS:
        raise UserError(f"data.layout is {layout!r}, expected one of {', '.join(LAYOUTS)}; set it to one")
    field, folder, held = "root", root, "images"
    if layout == "wsol" and metadata is not None:
        field, folder, held = "metadata", metadata, "metadata"
    path = Path(folder)
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise UserError(f"data.{field} {folder!r} {found}, expected a folder of {held}; set it to the data set's")
    return LAYOUTS[layout](path)
