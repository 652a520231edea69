"""YOLO's trees: images in one folder, labels of the same names in another."""

from array import array
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.catalog.coco_files import split_folders
from psol_ray.catalog.faults import Faults
from psol_ray.catalog.listing import Listing
from psol_ray.catalog.objects import Objects, list_objects
from psol_ray.catalog.paired import Pair, PairedImages, find_split_images, stored_files
from psol_ray.catalog.passed_over import PassedOver
from psol_ray.catalog.scan import Names, list_names
from psol_ray.catalog.split_names import names_split
from psol_ray.catalog.yolo_labels import find_names, read_labels, read_names
from psol_ray.errors import UserError
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.storage.tree import DataPath
from psol_ray.work.threads import map_waiting

__all__ = ["find_pairs", "list_yolo"]

_SUFFIX = ".txt"


def list_yolo(root: DataPath, coordinates: Coordinates) -> Listing:
    """List one of these trees::

        images/{train,val}/*, labels/{train,val}/*.txt      ultralytics; or images/* and labels/* without splits
        {train,valid,test}/{images,labels}/*                Roboflow
        data.yaml                                           names of the classes; or classes.txt; may be absent

    A line of a label is `class cx cy w h` in fractions, or an outline. Paths in `data.yaml` are not followed: where
    images lie says the tree. An image without a label, or with an empty one, has no class and is passed over.

    Raises:
        UserError: there are no such folders, `data.yaml` is broken, or no training image has a class.
    """
    top = list_names(root)
    pairs = find_pairs(root, top)
    if not pairs:
        raise UserError(
            f"{root}: found no images beside labels, expected images/train/ and labels/train/, or train/images/ and"
            " train/labels/; set data.root to the folder that has them"
        )
    file, remarks = find_names(top), []
    names = read_names(root / file) if file else {}
    if not file:
        remarks.append("found neither data.yaml nor classes.txt, so classes are called by their numbers")
    faults, passed_over = Faults(), PassedOver()
    found = find_split_images(root, pairs, _SUFFIX, faults, passed_over)
    used, parts = found.pairs, found.parts
    objects = [_objects(root / pair.annotations, part, names, faults) for pair, part in zip(used, parts, strict=True)]
    return list_objects(
        root,
        found.images,
        Objects.joined(objects, [len(part.image_ids) for part in parts]),
        coordinates,
        root / used[0].annotations,
        faults=faults,
        passed_over=passed_over,
        annotations=[*([root / file] if file else []), *(root / pair.annotations for pair in used)],
        remarks=remarks,
    )


def find_pairs(root: DataPath, top: Names) -> Sequence[Pair]:
    """Folders of images and of labels; those of splits, where there are such."""
    images, labels = top.folder("images"), top.folder("labels")
    if images and labels:
        below = list_names(root / labels)
        splits = [name for name in list_names(root / images).folders if names_split(name) and name in below.folders]
        if splits:
            return [Pair(f"{images}/{name}", f"{labels}/{name}") for name in splits]
        is_yolo = below.folders or any(name.endswith(_SUFFIX) for name in below.files)
        return [Pair(images, labels)] if is_yolo else []
    pairs = []
    for split in split_folders(top):
        below = list_names(root / split)
        images, labels = below.folder("images"), below.folder("labels")
        if images and labels:
            pairs.append(Pair(f"{split}/{images}", f"{split}/{labels}"))
    return pairs


def _objects(where: DataPath, part: PairedImages, names: Mapping[int, str], faults: Faults) -> Objects:
    """What the labels of a folder say."""
    rows, classes, numbers = array("q"), array("q"), array("d")
    malformed, num_malformed = [], 0
    annotated = np.flatnonzero(part.annotated_N)
    files = stored_files(where, part.keys.take(pa.array(annotated)).to_pylist(), _SUFFIX)
    read = map_waiting(lambda file: read_labels(where / file), files)
    for row, file, labels in zip(annotated.tolist(), files, read, strict=True):
        if labels.num_malformed:
            malformed.append(file)
            num_malformed += labels.num_malformed
        rows.extend([row] * len(labels.classes))
        classes.extend(labels.classes)
        numbers.extend(chain.from_iterable(labels.boxes))
    row_M, class_M = np.array(rows, np.int64), np.array(classes, np.int64)
    faults.of(where, len(row_M))
    faults.add(where, "lines that are no class and four numbers", malformed, num_malformed)
    objects = Objects(row_M, _class_names(class_M, names), np.array(numbers, np.float64).reshape(-1, 4))
    unknown_M = np.asarray(objects.names.is_null())
    shown = [f"{class_M[i]} in {part.keys[row_M[i]]}{_SUFFIX}" for i in np.flatnonzero(unknown_M)[:3]]
    faults.add(where, "boxes of a class that has no name", shown, int(unknown_M.sum()))
    return objects.where(~unknown_M)


def _class_names(class_M: NDArray[np.int64], names: Mapping[int, str]) -> pa.Array:
    """The name of each, null where there is none; all are called by their numbers where nothing names them."""
    numbers, at_M = np.unique(class_M, return_inverse=True)
    known = [names.get(number) if names else f"{number:04d}" if number >= 0 else None for number in numbers.tolist()]
    return pa.array(known, pa.string()).take(pa.array(at_M))
