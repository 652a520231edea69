"""COCO's JSON, as COCO itself, Roboflow, FiftyOne, CVAT and Label Studio write it, beside the images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.class_folders import images_below
from psol_ray.catalog.coco_files import find_files, folder_of_images, plain_paths
from psol_ray.catalog.coco_json import CocoFile, read_coco
from psol_ray.catalog.faults import Faults
from psol_ray.catalog.listing import SIDES, Listing
from psol_ray.catalog.objects import Objects, list_objects
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.scan import list_names
from psol_ray.catalog.split_names import splits_of
from psol_ray.catalog.unicode_forms import composed
from psol_ray.errors import UserError, abbreviate
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.storage.tree import DataPath
from psol_ray.tables.image_ids import check_listed_ids
from psol_ray.tables.schemas import TRAIN

__all__ = ["list_coco"]


@dataclass(frozen=True)
class _Part:
    """The images of a file, a row each, and their objects."""

    folder: str
    named: pa.Array  # all that it names
    images: pa.Table  # image_id, split, width, height; once each
    objects: Objects


def list_coco(root: DataPath, coordinates: Coordinates) -> Listing:
    """List one of these trees::

        annotations/instances_{train,val}*.json      COCO; images in {train,val}*/, images/{train,val}*/ or images/
        {train,valid,test}/_annotations.coco.json    Roboflow; images beside it
        labels.json, result.json, *coco*.json, …     FiftyOne, Label Studio and others; images in data/, images/, or
                                                     beside it

    A file is of the split that its path says: train, val (or valid, validation), else test; where none says train, all
    that is not held out is that. Boxes of crowds are left out. An image of which a file says nothing but its name is
    passed over, and so is one that no file names. One that is named and not there is away.

    Raises:
        UserError: there is no such file, it is broken, or none of the training images that it names is there.
    """
    files = find_files(root, list_names(root))
    if not files:
        raise UserError(
            f"{root}: found no JSON of COCO, expected one such as annotations/instances_train.json or"
            " train/_annotations.coco.json; set data.root to the folder that has it"
        )
    splits, faults, passed_over = splits_of(files), Faults(), PassedOver()
    passed_over.update((Reason.FILE, file) for file in files if file not in splits)
    if not any(split == TRAIN for split in splits.values()):
        raise UserError(
            f"{root}: found only files of test images ({abbreviate(files)}), expected one with train; add it"
        )
    parts, gaps = [], []
    for file, split in splits.items():
        try:
            parts.append(_read(root, file, split, faults, passed_over))
        except UserError as error:
            # What can be had without the test images is, and told.
            if split == TRAIN:
                raise
            gaps.append(f"catalog: {error}; run `psol index --overwrite` then")
    images, objects = _joined(root, parts, faults)
    _count_unnamed(root, parts, files, passed_over)
    return list_objects(
        root,
        images.select(["image_id", "split"]),
        objects,
        coordinates,
        root / next(file for file, split in splits.items() if split == TRAIN),
        faults=faults,
        passed_over=passed_over,
        annotations=[root / file for file in splits],
        annotated_sizes=images.select(["image_id", *SIDES]),
        gaps=gaps,
    )


def _read(root: DataPath, file: str, split: str, faults: Faults, passed_over: PassedOver) -> _Part:
    path = root / file
    found = read_coco(path)
    faults.of(path, len(found.of_images))
    names = plain_paths(found.names)
    folder, by_last_name = folder_of_images(root, file, names)
    if folder is None:
        shown = abbreviate([*names[:3].to_pylist(), *[""] * (len(names) - 3)])
        raise UserError(
            f"{path}: found none of the {len(names):,} images that it names ({shown}) beside it, in images/"
            " or in a folder of the split's name, expected them there; add them"
        )
    ids = _below(folder, names, by_last_name)
    check_listed_ids(path, ids)
    sides = {side: found.sizes_N2[:, i] for i, side in enumerate(SIDES)}
    images = pa.table({"image_id": ids, "split": pa.repeat(pa.scalar(split), len(ids)), **sides})
    objects = _objects(path, found, ids, faults, passed_over)
    once_N = _alone(path, "images of a name that others have", ids, faults)
    once_N &= _alone(path, "images of an id that others have", ids, faults, names=found.image_ids)
    return _Part(folder, ids, images.filter(pa.array(once_N)), objects.of_images(once_N))


def _below(folder: str, names: pa.Array, by_last_name: bool) -> pa.Array:
    if by_last_name:
        names = pc.replace_substring_regex(names, r"^.*/", "")
    return pc.binary_join_element_wise(f"{folder}/", names, "") if folder else names


def _alone(
    source: DataPath, kind: str, image_ids: pa.Array, faults: Faults, names: pa.Array | None = None
) -> NDArray[np.bool_]:
    """Which images have a name of their own (or whatever `names` are): of others nobody knows whose boxes they are."""
    names = composed(image_ids) if names is None else names
    counts = pc.value_counts(names)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    other = pc.is_in(names, value_set=twice)
    faults.add(source, kind, image_ids.filter(other).to_pylist())
    return ~np.asarray(other, bool)


def _objects(path: DataPath, found: CocoFile, image_ids: pa.Array, faults: Faults, passed_over: PassedOver) -> Objects:
    """Annotations of images and categories that are there."""
    row_M = np.asarray(pc.index_in(found.of_images, value_set=found.image_ids).fill_null(-1), np.int64)
    lost_M = row_M < 0
    ids = pc.unique(found.of_images.filter(pa.array(lost_M))).to_pylist()
    faults.add(
        path, "annotations of images that it does not list", [f"image_id {name}" for name in ids], int(lost_M.sum())
    )
    numbers, names = list(found.category_names), list(found.category_names.values())
    code = pc.index_in(found.categories, value_set=pa.array(numbers, pa.string()))
    unknown_M = np.asarray(pc.is_null(code)) & ~lost_M
    some = np.flatnonzero(unknown_M)[:3]
    faults.add(
        path,
        "annotations of a category that is not there",
        [f"category_id {found.categories[i]} of {image_ids[row_M[i]]}" for i in some],
        int(unknown_M.sum()),
    )
    crowd_M = found.crowd_M & ~lost_M & ~unknown_M
    passed_over[Reason.CROWD, ""] += int(crowd_M.sum())
    objects = Objects(row_M, pa.array(names, pa.string()).take(code), found.numbers_M4)
    return objects.where(~(lost_M | unknown_M | crowd_M))


def _joined(root: DataPath, parts: list[_Part], faults: Faults) -> tuple[pa.Table, Objects]:
    """The images of all files, and their objects; an image that several files name is left out."""
    images = pa.concat_tables([part.images for part in parts]).combine_chunks()
    objects = Objects.joined([part.objects for part in parts], [len(part.images) for part in parts])
    if len(parts) == 1:
        return images, objects
    once_N = _alone(root, "images that several files name", images["image_id"].combine_chunks(), faults)
    return images.filter(pa.array(once_N)), objects.of_images(once_N)


def _count_unnamed(root: DataPath, parts: list[_Part], files: Sequence[str], passed_over: PassedOver) -> None:
    """Count what lies beside the images that are named: images that none names, and what is none."""
    named = composed(pa.concat_arrays([part.named for part in parts]))
    folders = {part.folder for part in parts}
    # Of one within another, all is seen from there.
    for folder in [each for each in folders if not any(each != other and _is_below(each, other) for other in folders)]:
        below, others = images_below(root / folder)
        others[Reason.SUFFIX, ".json"] -= sum(not folder or file.startswith(f"{folder}/") for file in files)
        passed_over.update(+others)
        names = pa.array([f"{folder}/{name}" if folder else name for name in below], pa.string())
        unnamed = pc.invert(pc.is_in(composed(names), value_set=named))
        passed_over[Reason.UNLABELLED, ""] += pc.sum(unnamed).as_py() or 0


def _is_below(folder: str, other: str) -> bool:
    return not other or folder.startswith(f"{other}/")
