"""The layouts of image folders that can be read, by name."""

import os
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from psol_ray.errors import UserError, cannot_read, without_secrets

if TYPE_CHECKING:
    import pyarrow as pa

    from psol_ray.catalog.listing import Listing
    from psol_ray.geometry.coordinates import Coordinates
    from psol_ray.storage.tree import DataPath

__all__ = ["LAYOUTS", "LayoutName", "list_data", "list_images", "recognise_layout"]

LAYOUTS = {
    "imagenet": "psol_ray.catalog.imagenet:list_imagenet",
    "cub": "psol_ray.catalog.cub:list_cub",
    "folder": "psol_ray.catalog.folder:list_folder",
    "classes": "psol_ray.catalog.classes:list_classes",
    "one_class": "psol_ray.catalog.classes:list_one_class",
    "list": "psol_ray.catalog.image_list:list_image_list",
    "coco": "psol_ray.catalog.coco:list_coco",
    "yolo": "psol_ray.catalog.yolo:list_yolo",
    "voc": "psol_ray.catalog.voc:list_voc",
    "wsol": "psol_ray.catalog.wsol:list_wsol",
    "webdataset": "psol_ray.catalog.tar_shards:list_tar_shards",
    "parquet": "psol_ray.catalog.parquet_shards:list_parquet_shards",
}
"""`module:function` of each layout's reader, imported once it is asked for. The demo's layout is `folder`."""

# Whose ids are names that folders gave, and not a text.
_SCANNED = ("imagenet", "folder", "classes", "one_class", "yolo", "voc", "webdataset", "parquet")
# Whose images may have objects of several classes, of which the largest counts.
_WITH_OBJECTS = ("list", "coco", "yolo", "voc")

if TYPE_CHECKING:
    LayoutName = str
else:
    LayoutName = Literal[("auto", *LAYOUTS, "demo")]


def list_images(layout: str, root: str, metadata: str | None = None) -> "pa.Table":
    """The images of `list_data`."""
    return list_data(layout, root, metadata).images


def recognise_layout(root: str, metadata: str | None = None) -> tuple[str, str]:
    """Which layout a data set has, and what of it was seen, in a few words; no image is opened, and few folders listed.

    Raises:
        UserError: there is no such folder, or it is none that can be read, or may be several.
    """
    if metadata is not None:
        return "wsol", "data.metadata"
    _check_folder("root", root, "images")
    from psol_ray.catalog.recognise import recognise
    from psol_ray.storage.tree import data_path

    try:
        return recognise(data_path(root))
    except OSError as error:
        raise cannot_read(error, "a folder of images") from None


def list_data(
    layout: str, root: str, metadata: str | None = None, coordinates: "Coordinates | None" = None
) -> "Listing":
    """All images of a data set, without opening one, and what was found beside them.

    Args:
        layout: a key of `LAYOUTS`; each reader's docstring draws its folders.
        root: the folder that image ids are relative to.
        metadata: of `wsol`, the folder of its text files, where they lie apart; then `root` need not exist.
        coordinates: how boxes are given, where this is not as the layout has it: of images with objects of several
            classes the areas of these say whose it is.

    Returns:
        Images of schema `LISTING` (`CATALOG` without sizes), sorted by split (train first), class_name and image_id.
        Labels number the sorted class names of the training split from 0. `wsol` says order, labels and, where it
        can, sizes (schema `CATALOG`) itself. Ids are as the files are stored, and class names composed, whichever of
        Unicode's forms folders and annotations have.

    Raises:
        UserError: the folders or annotations are not what the layout says, or two images' names differ in Unicode's
            form alone.
    """
    # Late: the settings, which name the layouts, are read by commands that need no file system.
    from psol_ray.catalog.coordinates import own_coordinates
    from psol_ray.storage.addresses import is_uri
    from psol_ray.storage.tree import data_path

    if layout not in LAYOUTS:
        raise UserError(f"data.layout is {layout!r}, expected one of {', '.join(LAYOUTS)}; set it to one")
    field, folder, held = "root", root, "images"
    if layout == "wsol" and metadata is not None:
        field, folder, held = "metadata", metadata, "metadata"
    _check_folder(field, folder, held)
    module, _, function = LAYOUTS[layout].partition(":")
    try:
        place = data_path(folder)
        arguments = (coordinates or own_coordinates(layout),) if layout in _WITH_OBJECTS else ()
        listing = getattr(import_module(module), function)(place, *arguments)
        if is_uri(root):
            return _with_store_files(data_path(root) if metadata else place, listing)
        return _with_stored_ids(root, listing, is_scanned=layout in _SCANNED)
    except OSError as error:
        raise cannot_read(error, f"what layout {layout} has there") from None


def _check_folder(field: str, folder: str, held: str) -> None:
    """Raise a UserError where there is no folder."""
    from psol_ray.storage.addresses import is_uri

    if is_uri(folder):
        _check_store(field, folder)
    elif not os.path.isdir(folder):
        why = _why_no_folder(folder)
        hint = "; a list of images lies in their folder, as images.csv" if folder.endswith((".csv", ".parquet")) else ""
        raise UserError(f"data.{field} {folder!r} {why}, expected a folder of {held}; set it to the data set's{hint}")


def _check_store(field: str, uri: str) -> None:
    """Raise a UserError where a store has nothing there, or does not answer."""
    from psol_ray.storage.tree import data_path

    shown = without_secrets(uri)
    try:
        folder = data_path(uri)
        if not folder.is_dir():
            raise UserError(
                f"data.{field} {shown!r} does not exist, expected a folder of images in that store; set it to the data"
                " set's"
            )
    except OSError as error:
        raise UserError(
            f"data.{field} {shown!r} cannot be read ({without_secrets(error.strerror or str(error))}), expected images"
            " there; check the address, the endpoint and your credentials"
        ) from None


def _with_store_files(root: "DataPath", listing: "Listing") -> "Listing":
    """The listing with sizes and times of its images, which the store has told with their names."""
    from psol_ray.catalog.store_files import store_files

    return listing if listing.files is not None else replace(listing, files=store_files(root, listing.images))


def _why_no_folder(path: str) -> str:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except (OSError, ValueError) as error:  # the latter for what no path can have
        return f"cannot be reached ({getattr(error, 'strerror', None) or error})"
    return "is a file"


def _with_stored_ids(root: str, listing: "Listing", *, is_scanned: bool) -> "Listing":
    """The listing with ids as the files are stored, which those are that were read from folders."""
    # Late: the settings, which name the layouts, are read by commands that need no tables.
    from psol_ray.catalog.unicode_forms import check_one_form, stored_paths

    at = listing.images.schema.get_field_index("image_id")
    image_ids = listing.images.column(at).combine_chunks()
    check_one_form(root, image_ids)
    stored = image_ids if is_scanned else stored_paths(root, image_ids)
    if stored is image_ids:
        return listing
    return replace(listing, images=listing.images.set_column(at, "image_id", stored))
