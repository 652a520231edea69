"""Images each of which has a file of annotations of its own, by its name: YOLO's and Pascal VOC's trees."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.class_folders import images_below, string_array
from psol_ray.catalog.faults import Faults
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.scan import list_names
from psol_ray.catalog.split_names import splits_of
from psol_ray.catalog.unicode_forms import composed, stored_paths
from psol_ray.errors import UserError, abbreviate
from psol_ray.images.files import open_image_file
from psol_ray.storage.tree import DataPath, StorePath
from psol_ray.tables.schemas import TRAIN
from psol_ray.work.threads import map_waiting

__all__ = ["Pair", "PairedImages", "find_split_images", "read_whole", "stored_files"]


@dataclass(frozen=True)
class Pair:
    """A folder of images, and that of their annotations, from the root; they may be the same."""

    images: str
    annotations: str


@dataclass(frozen=True)
class PairedImages:
    """The images below a pair's folder, sorted: ids, paths below the folder without suffix, and which have a file."""

    image_ids: pa.Array
    keys: pa.Array
    annotated_N: NDArray[np.bool_]


@dataclass(frozen=True)
class SplitImages:
    """The pairs that are of a split, the images of each, and all of them with their splits."""

    pairs: Sequence[Pair]
    parts: Sequence[PairedImages]
    images: pa.Table


def find_split_images(
    root: DataPath, pairs: Sequence[Pair], suffix: str, faults: Faults, passed_over: PassedOver
) -> SplitImages:
    """The images of those pairs whose folders are of a split; for the arguments see `find_images`.

    Raises:
        UserError: none is of the training split.
    """
    splits = splits_of(pair.images for pair in pairs)
    if TRAIN not in splits.values():
        shown = abbreviate([pair.images for pair in pairs])
        raise UserError(f"{root}: found only test images ({shown}), expected a folder train; add it")
    passed_over.update((Reason.FOLDER, pair.images) for pair in pairs if pair.images not in splits)
    used = [pair for pair in pairs if pair.images in splits]
    parts = [find_images(root, pair, suffix, faults, passed_over) for pair in used]
    return SplitImages(used, parts, _images_of(parts, [splits[pair.images] for pair in used]))


def find_images(root: DataPath, pair: Pair, suffix: str, faults: Faults, passed_over: PassedOver) -> PairedImages:
    """The images of a pair; those whose name without suffix others have are left out: whose annotations are they?

    Args:
        root: the data's.
        pair: where to look.
        suffix: of the files of annotations, with its dot.
        faults: counts images that are left out.
        passed_over: counts what is no image, and annotations of images that are not there.
    """
    where = root / pair.images
    names, others = images_below(where)
    if pair.images == pair.annotations:
        others[Reason.SUFFIX, suffix] = 0
    passed_over.update(+others)
    names = string_array(sorted(names), where)
    keys = composed(pc.replace_substring_regex(names, r"\.[^./]*$", ""))
    counts = pc.value_counts(keys)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    once = pc.invert(pc.is_in(keys, value_set=twice))
    faults.of(where, len(names))
    faults.add(where, f"images of which several have one file {suffix}", names.filter(pc.invert(once)).to_pylist())
    there = _files(root / pair.annotations, names, suffix)
    orphans = pc.sum(pc.invert(pc.is_in(there, value_set=keys))).as_py() or 0
    passed_over[Reason.ORPHAN, suffix] += orphans
    names, keys = names.filter(once), keys.filter(once)
    ids = pc.binary_join_element_wise(f"{pair.images}/", names, "") if pair.images else names
    return PairedImages(ids, keys, np.asarray(pc.is_in(keys, value_set=there), bool))


def _images_of(parts: Sequence[PairedImages], splits: Sequence[str]) -> pa.Table:
    """`image_id` and `split` of the images of several folders, each of one split."""
    lengths = [len(part.image_ids) for part in parts]
    return pa.table(
        {
            "image_id": pa.concat_arrays([part.image_ids for part in parts]),
            "split": pa.array(splits, pa.string()).take(pa.array(np.repeat(np.arange(len(parts)), lengths))),
        }
    )


def stored_files(where: DataPath, keys: Sequence[str], suffix: str) -> list[str]:
    """The files of annotations below a folder, as they are stored, whichever of Unicode's forms that is."""
    files = pa.array([f"{key}{suffix}" for key in keys], pa.string())
    return (files if isinstance(where, StorePath) else stored_paths(str(where), files)).to_pylist()


def _files(where: DataPath, names: pa.Array, suffix: str) -> pa.Array:
    """The files of annotations in the folders that images have, as keys."""
    # Of annotations, too, folders may be in another form than those of images.
    below = composed(pc.unique(pc.replace_substring_regex(names, r"/?[^/]*$", "")))
    folders = stored_files(where, below.to_pylist() or [""], "")

    def listed(folder: str) -> Sequence[str]:
        files = list_names(where / folder).files
        return [f"{folder}/{name[: -len(suffix)]}".lstrip("/") for name in files if name.endswith(suffix)]

    return composed(string_array([name for some in map_waiting(listed, folders) for name in some], where))


def read_whole(path: DataPath) -> bytes:
    """The content of a small file; what is none is not waited for.

    Raises:
        OSError: it cannot be read, or is a folder or a pipe.
    """
    if isinstance(path, StorePath):
        return path.read_bytes()
    with open_image_file(os.fspath(path)) as file:
        return file.read()
