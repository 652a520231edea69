"""wsolevaluation's metadata, in which CUB, ImageNet and OpenImages are benchmarked (Choe et al., CVPR 2020)."""

from array import array
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.annotations import Annotations, box_lists
from psol_ray.catalog.listing import LISTING, TEST, TRAIN, Listing
from psol_ray.catalog.passed_over import Reason
from psol_ray.catalog.unicode_forms import composed
from psol_ray.catalog.wsol_files import (
    CLASS_LABELS,
    IMAGE_IDS,
    IMAGE_SIZES,
    LOCALIZATION,
    check_other_images,
    check_repeats,
    names_masks,
    read_localization,
    read_numbers,
    says_anything,
)
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath
from psol_ray.tables.image_ids import check_listed_ids
from psol_ray.tables.schemas import CATALOG

__all__ = ["list_wsol"]


def list_wsol(root: DataPath) -> Listing:
    """List the images of this metadata::

        {train,test}/image_ids.txt       path below the folder of images; either split may be absent
        {train,test}/class_labels.txt    path,label
        {train,test}/image_sizes.txt     path,width,height; may be absent or empty
        {train,test}/localization.txt    path,x0,y0,x1,y1; several lines an image allowed; may be absent or empty

    As published, the last two are empty for the training images of ILSVRC, and sizes for all of OpenImages, whose
    `localization.txt` names masks instead of boxes: these are not read, and its images have no ground truth here.
    `image_ids_proxy.txt`, a part of the training images, is not read either.

    Images keep the order of `image_ids.txt`, labels their numbers, and corners name the last pixel, as given. A
    class is named after the folder that holds its images and no other's (CUB's `001.Black_footed_Albatross`,
    `n01440764` of ImageNet's training images), or, where some class has none, all are named by their numbers, padded
    with zeros. `val`, the few images with boxes that wsolevaluation tunes on, is left out.

    Returns:
        Images of schema `CATALOG` where each split says its images' sizes, else of `LISTING`.

    Raises:
        UserError: there is neither split, a file is missing or malformed, files speak of different images, an image
            is there twice, or a test image's class has no training image.
    """
    folders = [(split, root / split) for split in (TRAIN, TEST) if (root / split).is_dir()]
    if not folders:
        raise UserError(
            f"{root}: found neither train nor test, expected one of these folders or both (val is not read); set"
            " data.metadata to the folder that holds them, such as metadata/CUB"
        )
    listed = pa.concat_tables([_split(split, folder) for split, folder in folders], promote_options="default")
    check_repeats(root, listed["image_id"])
    _check_untrained(root, listed)
    listed = listed.append_column("class_name", _class_names(listed["image_id"], listed["label"]))
    # Promoted, a split without sizes has nulls.
    sized = "width" in listed.column_names and not listed["width"].null_count
    schema = CATALOG if sized else LISTING
    files = [folder / name for _, folder in folders for name in (IMAGE_IDS, CLASS_LABELS, IMAGE_SIZES, LOCALIZATION)]
    masks = [path for path in files if path.name == LOCALIZATION and names_masks(path)]
    return Listing(
        listed.select(schema.names).cast(schema).combine_chunks(),
        annotations=[path for path in files if path.exists()],
        passed_over=Counter((Reason.FOLDER, name) for name in ("val",) if (root / name).is_dir()),
        remarks=[f"{path.parent.name}/{path.name} names masks, which are not read" for path in masks],
    )


def _split(split: str, folder: DataPath) -> pa.Table:
    """Everything of a split but the classes' names."""
    image_ids = read_numbers(folder / IMAGE_IDS, ())["image_id"]
    if not len(image_ids):
        raise UserError(f"{folder / IMAGE_IDS}: found no image, expected a path a line; download it again")
    check_repeats(folder / IMAGE_IDS, image_ids)
    check_listed_ids(folder / IMAGE_IDS, image_ids)
    columns = {
        "image_id": image_ids,
        "label": _numbers_for(folder / CLASS_LABELS, ("label",), image_ids)["label"],
        "split": pa.repeat(pa.scalar(split), len(image_ids)),
        "gt_boxes": _boxes(folder / LOCALIZATION, image_ids),
    }
    if says_anything(folder / IMAGE_SIZES):
        columns |= _sizes(folder / IMAGE_SIZES, image_ids)
    return pa.table(columns)


def _sizes(path: DataPath, image_ids: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    sizes = _numbers_for(path, ("width", "height"), image_ids)
    empty = sizes.filter(pc.equal(pc.min_element_wise(sizes["width"], sizes["height"]), 0))["image_id"].to_pylist()
    if empty:
        raise UserError(
            f"{path}: found {len(empty)} images without a pixel ({abbreviate(empty)}),"
            " expected sides of 1 or more; fix them"
        )
    return {name: sizes[name] for name in ("width", "height")}


def _numbers_for(path: DataPath, names: tuple[str, ...], image_ids: pa.ChunkedArray) -> pa.Table:
    """A file of one line an image, in the order of `image_ids`."""
    numbers = read_numbers(path, names)
    check_repeats(path, numbers["image_id"])
    check_other_images(path, numbers["image_id"], image_ids)
    return numbers.take(pc.index_in(image_ids, value_set=numbers["image_id"].combine_chunks()))


def _boxes(path: DataPath, image_ids: pa.ChunkedArray) -> pa.Array:
    if not says_anything(path) or names_masks(path):
        return box_lists(image_ids.combine_chunks(), Annotations())
    boxes = read_localization(path)
    check_other_images(path, boxes["image_id"], image_ids)
    corners_M4 = np.stack([boxes[name].to_numpy() for name in ("x0", "y0", "x1", "y1")], axis=1)
    keys = boxes["image_id"].to_pylist()
    return box_lists(image_ids.combine_chunks(), Annotations(keys, [""] * len(keys), array("d", corners_M4.ravel())))


def _check_untrained(root: DataPath, listed: pa.Table) -> None:
    train, test = (listed.filter(pc.equal(listed["split"], split)) for split in (TRAIN, TEST))
    labels = pc.unique(test["label"])
    unknown = labels.filter(pc.invert(pc.is_in(labels, value_set=pc.unique(train["label"])))).to_pylist()
    if len(train) and unknown:
        raise UserError(
            f"{root}: found test images of {len(unknown)} classes without training images"
            f" ({abbreviate([str(label) for label in sorted(unknown)])}), expected classes of the training split;"
            " add training images or remove these"
        )


def _class_names(image_ids: pa.ChunkedArray, labels: pa.ChunkedArray) -> pa.ChunkedArray:
    """A name for each image: its class's own folder, or its padded label where a class has not exactly one."""
    folders = pc.struct_field(pc.extract_regex(image_ids, r"(?:^|/)(?P<folder>[^/]+)/[^/]+$"), "folder")
    pairs = pa.table({"label": labels, "folder": folders}).group_by(["label", "folder"]).aggregate([])
    pairs = pairs.filter(pc.is_valid(pairs["folder"]))
    owners = pairs.group_by("folder").aggregate([("label", "count"), ("label", "min")])
    owned = owners.filter(pc.equal(owners["label_count"], 1))
    if len(owned) == pc.count_distinct(owned["label_min"]).as_py() == pc.count_distinct(labels).as_py():
        rows = pc.index_in(labels, value_set=owned["label_min"].combine_chunks())
        return composed(owned["folder"].take(rows))
    return pc.utf8_lpad(labels.cast(pa.string()), len(str(pc.max(labels).as_py())), "0")
