"""Pascal VOC's trees: an XML file an image, in a folder of their own or beside the images."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.coco_files import ANNOTATIONS, split_folders
from psol_ray.catalog.faults import Faults
from psol_ray.catalog.listing import SIDES, Listing
from psol_ray.catalog.objects import Objects, list_objects
from psol_ray.catalog.paired import Pair, PairedImages, find_split_images, read_whole
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.scan import Names, list_names
from psol_ray.catalog.unicode_forms import composed
from psol_ray.catalog.voc_xml import read_voc_xml
from psol_ray.errors import UserError
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.storage.tree import DataPath
from psol_ray.tables.schemas import TEST, TRAIN

__all__ = ["find_xml", "list_voc"]

_SUFFIX = ".xml"
_IMAGES = ("jpegimages", "images")
_SETS = "ImageSets/Main"


def list_voc(root: DataPath, coordinates: Coordinates) -> Listing:
    """List one of these trees::

        JPEGImages/*, Annotations/*.xml          or images/ and annotations/
        ImageSets/Main/{train,val}.txt           names without suffix; val, else test, is the test split. Without
                                                 train.txt it is trainval.txt, and without both all are training images
        {train,valid,test}/*.{jpg,xml}           Roboflow

    Corners name pixels, as given. An image without XML, or whose XML names no object, has no class and is passed over.

    Raises:
        UserError: there are no such folders, or no training image has a class.
    """
    pairs = find_xml(root, list_names(root))
    if not pairs:
        raise UserError(
            f"{root}: found no images and XML, expected JPEGImages/ and Annotations/, or both in train/; set data.root"
            " to the folder that has them, such as VOCdevkit/VOC2012"
        )
    faults, passed_over = Faults(), PassedOver()
    found_images = find_split_images(root, pairs, _SUFFIX, faults, passed_over)
    used, parts, images = found_images.pairs, found_images.parts, found_images.images
    sets = _read_sets(root)
    found = [_read(root / pair.annotations, part, faults) for pair, part in zip(used, parts, strict=True)]
    objects = Objects.joined([each for each, _ in found], [len(part.image_ids) for part in parts])
    sizes = pa.concat_tables([size for _, size in found])
    if sets and len(used) == 1:
        images, objects = _by_sets(images, parts[0].keys, objects, sets, faults, passed_over)
    return list_objects(
        root,
        images,
        objects,
        coordinates,
        root / used[0].annotations,
        faults=faults,
        passed_over=passed_over,
        annotations=[*sets.values(), *(root / pair.annotations for pair in used)],
        annotated_sizes=sizes if len(sizes) else None,
    )


def find_xml(root: DataPath, top: Names) -> Sequence[Pair]:
    """Folders of images and of XML; those of splits, where there are such."""
    images, annotations = (top.folder(name) for name in _IMAGES), top.folder(*ANNOTATIONS)
    folder = next(filter(None, images), None)
    if folder and annotations and _has_xml_below(root / annotations):
        return [Pair(folder, annotations)]
    pairs = []
    for split in split_folders(top):
        names = list_names(root / split)
        if names.images and _has_xml(names):
            pairs.append(Pair(split, split))
    return pairs


def _has_xml_below(folder: DataPath, depth: int = 3) -> bool:
    """Whether there is XML, or in the first of its folders, which may be splits and classes."""
    names = list_names(folder)
    return _has_xml(names) or bool(depth and names.folders and _has_xml_below(folder / names.folders[0], depth - 1))


def _has_xml(names: Names) -> bool:
    return any(name.endswith(_SUFFIX) for name in names.files)


def _read(where: DataPath, part: PairedImages, faults: Faults) -> tuple[Objects, pa.Table]:
    """The objects of a folder's XML, and the sizes that it says of images."""
    keys = part.keys.filter(pa.array(part.annotated_N))
    broken: list[str] = []
    found = read_voc_xml(where, keys.to_pylist(), broken)
    faults.of(where, len(keys))
    faults.add(where, "XML files that cannot be read", broken)
    names = pa.array(found.class_names, pa.string())
    objects = Objects(found.rows(part.keys), names, found.corners_M4.astype(np.float64))
    rows = pc.index_in(pa.array(found.image_sizes, pa.string()), value_set=part.keys)
    said_N2 = np.array(list(found.image_sizes.values()), np.int64).reshape(-1, 2)
    sides = {side: said_N2[:, i] for i, side in enumerate(SIDES)}
    return objects, pa.table({"image_id": part.image_ids.take(rows), **sides})


def _read_sets(root: DataPath) -> dict[str, DataPath]:
    """The list of each split's images."""
    folder = root / _SETS
    there = {name: folder / f"{name}.txt" for name in ("train", "trainval", "val", "test") if _is_list(folder, name)}
    train = there.get("train") or there.get("trainval")
    test = (there.get("val") if "train" in there else None) or there.get("test")
    return {split: path for split, path in ((TRAIN, train), (TEST, test)) if train and path}


def _is_list(folder: DataPath, name: str) -> bool:
    return (folder / f"{name}.txt").is_file()


def _by_sets(
    images: pa.Table,
    keys: pa.Array,
    objects: Objects,
    sets: dict[str, DataPath],
    faults: Faults,
    passed_over: PassedOver,
) -> tuple[pa.Table, Objects]:
    """The images that are in a list, of its split."""
    split_N = np.full(len(images), "", object)
    for split, path in sets.items():
        lines = read_whole(path).decode("utf-8-sig", errors="replace").splitlines()
        names = composed(pa.array([line.strip() for line in lines if line.strip()], pa.string()))
        # Lists of one class have a 1, 0 or -1 behind each name; names may have blanks.
        bare = pc.replace_substring_regex(names, r"\s+-?[01]$", "")
        names = pc.if_else(pc.is_in(names, value_set=keys), names, bare)
        lost = names.filter(pc.invert(pc.is_in(names, value_set=keys)))
        faults.of(path, len(names))
        faults.add(path, "images that are not there", lost.to_pylist())
        split_N[np.asarray(pc.is_in(keys, value_set=names)) & (split_N == "")] = split
    listed_N = split_N != ""
    passed_over[Reason.SPLIT, ""] += int((~listed_N).sum())
    at = images.column_names.index("split")
    images = images.set_column(at, "split", pa.array(split_N, pa.string()))
    return images.filter(pa.array(listed_N)), objects.of_images(listed_N)
